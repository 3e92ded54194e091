"""Draws the images of one class: candidate by candidate, near-copies replaced by the next seeds."""

from collections.abc import Iterator

from components.core.data.archive import Pixels
from components.core.errors import DataError
from components.generate.arm_counts import latent_seed
from components.generate.fidelity import Tally
from components.generate.inspection import Inspection
from components.generate.multi_gpu import GeneratorPool


def draw_class(
    hands: GeneratorPool, inspection: Inspection, index: int, first: int, wanted: int, size: int, tally: Tally
) -> Iterator[tuple[Pixels, int]]:
    """Yields `wanted` images of a class and the seed of each, in the order of their seeds.

    Args:
        hands: Draw.
        inspection: Drops near-copies.
        index: The class.
        first: Its first latent seed.
        wanted: How many.
        size: Of a batch.
        tally: Counts what passes.

    Raises:
        DataError: Two of three candidates are near-copies, so drawing on is pointless.
    """
    kept = candidates = 0
    while kept < wanted:
        if candidates > 3 * wanted:
            raise DataError(
                f"{candidates - kept} of {candidates} images of class {index} are near-copies of training tiles: the "
                "generator has memorised them; select an earlier snapshot, train on more tiles, or go on with "
                "--no-near-copy-gate."
            )
        seeds = [latent_seed(first, candidates + place) for place in range(wanted - kept)]
        candidates += len(seeds)
        for batch in hands.draw(seeds, index, size):
            for image, seed in inspection.passing(batch, index, tally):
                kept += 1
                yield image, seed
