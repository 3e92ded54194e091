"""Rejection sampling of one class: near-copies are replaced by the images of the next seeds."""

from collections.abc import Iterator

from components.core.data.images import Pixels
from components.core.errors import DataError
from components.generate.fidelity import ClassStats
from components.generate.inspection import Inspection
from components.generate.multi_gpu import GeneratorPool
from components.generate.sampling_plan import latent_seed

_MAX_CANDIDATES = 3  # per image


def sample_class(
    pool: GeneratorPool, inspection: Inspection, index: int, first: int, images: int, batch: int, stats: ClassStats
) -> Iterator[tuple[Pixels, int]]:
    """Yields images of a class, each with its latent seed, in the order of their seeds.

    Args:
        pool: Devices that draw.
        inspection: The near-copy gate.
        index: Class index.
        first: Latent seed of the class's first candidate.
        images: Number of images.
        batch: Images per pass.
        stats: Statistics of the class, to which the images are added.

    Raises:
        DataError: Two of three candidates are near-copies, so more candidates would not help.
    """
    accepted = candidates = 0
    while accepted < images:
        if candidates > _MAX_CANDIDATES * images:
            raise DataError(
                f"{candidates - accepted} of {candidates} images of class {index} are near-copies of training tiles: "
                "the generator has memorised them. Select an earlier snapshot, train on more tiles, or switch the gate "
                "off with --no-near-copy-gate."
            )
        seeds = [latent_seed(first, candidates + number) for number in range(images - accepted)]
        candidates += len(seeds)
        for drawn in pool.draw(seeds, index, batch):
            for image, seed in inspection.accept(drawn, index, stats):
                accepted += 1
                yield image, seed
