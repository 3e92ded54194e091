"""The images that stand for a snapshot: the same classes and seeds for each, drawn only as far as they are needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from components.core.data.images import Pixels
from components.core.errors import ConfigError, DataError
from components.core.features.cache import FeatureCache
from components.core.features.extract import Features, features_of
from components.core.features.extractors import Extractor
from components.core.io.atomic_files import file_sha256, read_json
from components.core.stylegan2.sampling import generate_images
from components.core.stylegan2.snapshot import load_generator
from components.fid_select.measure import LEAST, ClassFeatures

_ClassIndices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ImagePlan:
    """Class and latent seed of each image, in order.

    Attributes:
        classes: Class index, [n].
        seeds: Latent seeds.
    """

    classes: _ClassIndices
    seeds: list[int]

    def __len__(self) -> int:
        return len(self.seeds)

    def part(self, start: int, stop: int) -> "ImagePlan":
        """The images from `start` to before `stop`."""
        return ImagePlan(self.classes[start:stop], self.seeds[start:stop])

    def first_of_class(self, index: int, count: int) -> "ImagePlan":
        """The first images of a class, for a page."""
        places = np.flatnonzero(self.classes == index)[:count]
        return ImagePlan(self.classes[places], [self.seeds[place] for place in places])


def plan_images(labels: _ClassIndices, classes: Sequence[int], images: int, screening: int, seed: int) -> ImagePlan:
    """Labels of uniformly drawn training tiles, as in the FID's protocol, and a latent seed for each.

    A class that has too few of the first `screening` images to be measured takes the first places.

    Args:
        labels: Class index of every training tile.
        classes: Class indices.
        images: Number of images.
        screening: Number of images that are measured first, at most `images`.
        seed: Seed of classes and latents.
    """
    rng = np.random.default_rng(seed)
    sample = rng.choice(labels, images)
    if min(int((sample[:screening] == index).sum()) for index in classes) < LEAST:
        if screening < LEAST * len(classes):
            raise ConfigError(f"{screening} images of {len(classes)} classes are too few to measure: raise --images.")
        sample[: LEAST * len(classes)] = np.repeat(classes, LEAST)
    return ImagePlan(sample, rng.integers(0, 2**32, images).tolist())


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of gan_train.

    Attributes:
        kimg: Real images that it was trained with, thousands.
        path: Its .safetensors file.
        sha256: SHA-256 of that file.
    """

    kimg: float
    path: Path
    sha256: str

    def sample(
        self, plan: ImagePlan, side_px: int, network: Extractor, cache: FeatureCache, batch: int
    ) -> ClassFeatures:
        """Features of the planned images, cached: a run after a killed one does not draw them again."""
        what = f"{self.kimg:g} kimg: features of generated images"

        def compute() -> Features:
            return features_of(network, self.images(plan, side_px, batch, network.device), batch, what, len(plan))

        source: dict[str, Any] = {"snapshot": self.sha256, "classes": plan.classes.tolist(), "seeds": plan.seeds}
        return ClassFeatures(cache.features(source, len(plan), compute, what), plan.classes)

    def images(self, plan: ImagePlan, side_px: int, batch: int, device: torch.device) -> Iterator[Pixels]:
        """The planned images."""
        G = load_generator(self.path, device)
        if G.img_resolution != side_px:
            raise DataError(
                f"{self.path} draws {G.img_resolution} px and the tiles have {side_px} px: give its own training data."
            )
        return generate_images(G, plan.seeds, plan.classes.tolist(), batch=batch, device=device)


def find_snapshots(folder: Path) -> list[Snapshot]:
    """Every snapshot of a folder, in the order of training.

    Raises:
        DataError: The folder has none.
    """
    snapshots = [
        Snapshot(read_json(path.with_suffix(".json"))["kimg"], path, file_sha256(path))
        for path in folder.glob("network-snapshot-*.safetensors")
    ]
    if not snapshots:
        raise DataError(f"{folder} holds no network-snapshot-*.safetensors: give the snapshots folder of gan_train.")
    return sorted(snapshots, key=lambda snapshot: (snapshot.kimg, snapshot.path))
