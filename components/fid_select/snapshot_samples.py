"""The images that stand for a snapshot: the same classes and seeds for each, drawn only as far as they are needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from components.core.data.archive import Pixels
from components.core.errors import ConfigError, DataError
from components.core.features.cache import FeatureCache
from components.core.features.extract import Features, features_of
from components.core.features.extractors import Extractor
from components.core.io.atomic_files import file_sha256, read_json
from components.core.stylegan2.sampling import generate_images
from components.core.stylegan2.snapshot import load_generator
from components.fid_select.measure import LEAST, Sample

Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Draw:
    """Class and latent seed of each image, in order.

    Attributes:
        classes: Class index, [n].
        seeds: Of the latents.
    """

    classes: Classes
    seeds: list[int]

    def __len__(self) -> int:
        return len(self.seeds)

    def part(self, start: int, stop: int) -> "Draw":
        """The images from `start` to before `stop`."""
        return Draw(self.classes[start:stop], self.seeds[start:stop])

    def shown(self, index: int, count: int) -> "Draw":
        """The first images of a class, for a page."""
        places = np.flatnonzero(self.classes == index)[:count]
        return Draw(self.classes[places], [self.seeds[place] for place in places])


def make_draw(labels: Classes, kinds: Sequence[int], images: int, screening: int, seed: int) -> Draw:
    """Labels of uniformly drawn training tiles, as in the FID's protocol, and a latent seed for each.

    A class that has too few of the first `screening` images to be measured takes the first places.

    Args:
        labels: Class index of every training tile.
        kinds: The classes.
        images: How many to draw.
        screening: How many of them are measured first, at most `images`.
        seed: Of both draws.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.choice(labels, images)
    if min(int((drawn[:screening] == kind).sum()) for kind in kinds) < LEAST:
        if screening < LEAST * len(kinds):
            raise ConfigError(f"{screening} images of {len(kinds)} classes are too few to measure: raise --images.")
        drawn[: LEAST * len(kinds)] = np.repeat(kinds, LEAST)
    return Draw(drawn, rng.integers(0, 2**32, images).tolist())


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of gan_train.

    Attributes:
        kimg: Thousand real images that it was trained with.
        path: Its .safetensors file.
        sha256: Of that file.
    """

    kimg: float
    path: Path
    sha256: str

    def sample(self, draw: Draw, side_px: int, network: Extractor, cache: FeatureCache, batch: int) -> Sample:
        """The draw's images as features; kept, so that a run after a killed one need not draw them again."""
        what = f"{self.kimg:g} kimg: drawing and looking"

        def make() -> Features:
            return features_of(network, self._images(draw, side_px, batch, network.device), batch, what, len(draw))

        source: dict[str, Any] = {"snapshot": self.sha256, "classes": draw.classes.tolist(), "seeds": draw.seeds}
        return Sample(cache.features(source, len(draw), make, what), draw.classes)

    def pictures(self, draw: Draw, side_px: int, batch: int, device: torch.device) -> list[Pixels]:
        """The draw's images."""
        return list(self._images(draw, side_px, batch, device))

    def _images(self, draw: Draw, side_px: int, batch: int, device: torch.device) -> Iterator[Pixels]:
        G = load_generator(self.path, device)
        if G.img_resolution != side_px:
            raise DataError(
                f"{self.path} draws {G.img_resolution} px and the tiles have {side_px} px: give its own training data."
            )
        return generate_images(G, draw.seeds, draw.classes.tolist(), batch=batch, device=device)


def find_snapshots(folder: Path) -> list[Snapshot]:
    """Every snapshot of a folder, in the order of training.

    Raises:
        DataError: There is none.
    """
    found = [
        Snapshot(read_json(path.with_suffix(".json"))["kimg"], path, file_sha256(path))
        for path in folder.glob("network-snapshot-*.safetensors")
    ]
    if not found:
        raise DataError(f"{folder} holds no network-snapshot-*.safetensors: give the snapshots folder of gan_train.")
    return sorted(found, key=lambda one: (one.kimg, one.path))
