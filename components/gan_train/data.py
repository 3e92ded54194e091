"""The training tiles: in memory as bytes, handed out in an endless order that is a function of (seed, images seen)."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.archive import CLASSES, ImageArchive
from components.core.errors import DataError

SMALLEST_PX = 8


class Tiles:
    """Tiles and labels of a GanDataset.

    Attributes:
        images: [M, 3, R, R] uint8.
        labels: Class index of each; all 0 without classes.
        classes: The archive's classes.json; empty = unconditional.
        c_dim: How many classes.
    """

    def __init__(
        self, images: Tensor, labels: npt.NDArray[np.int64], classes: list[dict[str, Any]], mirror: bool, seed: int
    ) -> None:
        self.images, self.labels, self.classes = images, labels, classes
        self.c_dim = len(classes)
        self.resolution = images.shape[-1]
        self._mirror, self._seed = mirror, seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def reals(self, images_seen: int, n: int) -> tuple[Tensor, Tensor]:
        """The next n: images [n, 3, R, R] in [-1, 1] and label vectors [n, c_dim]."""
        places = np.array([self._place(images_seen + index) for index in range(n)])
        tile = places % len(self.labels)
        flipped = torch.from_numpy(places >= len(self.labels))[:, None, None, None]
        images = self.images[torch.from_numpy(tile)]
        images = torch.where(flipped, images.flip(3), images)
        return images.float() / 127.5 - 1, self.one_hot(self.labels[tile])

    def random_labels(self, rng: np.random.Generator, n: int) -> Tensor:
        """Label vectors [n, c_dim] of uniformly drawn tiles."""
        return self.one_hot(rng.choice(self.labels, n))

    def one_hot(self, labels: npt.NDArray[np.int64]) -> Tensor:
        """Label vectors [n, c_dim]."""
        if self.c_dim == 0:
            return torch.zeros(len(labels), 0)
        return F.one_hot(torch.from_numpy(labels), self.c_dim).float()

    def _place(self, position: int) -> int:
        """Where the endless order stands: every epoch is another permutation; the second half are mirrored tiles."""
        size = len(self.labels) * (2 if self._mirror else 1)
        epoch, index = divmod(position, size)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self._seed, epoch]).permutation(size)
        return int(self._order[index])


def load_tiles(archive: ImageArchive, mirror: bool, seed: int) -> Tiles:
    """Reads all tiles of a GanDataset.

    Raises:
        DataError: Tiles that a StyleGAN cannot be trained on, or labels without classes.
    """
    if not len(archive):
        raise DataError(f"{archive.path} holds no tiles: a GAN cannot be trained on nothing.")
    side = archive.resolution
    if side < SMALLEST_PX or side & (side - 1):
        raise DataError(
            f"The tiles of {archive.path} are {side} px wide: StyleGAN2 needs a power of two from {SMALLEST_PX} on, "
            "so tile with another resolution."
        )
    images = np.empty((len(archive), 3, side, side), dtype=np.uint8)
    for index, (file, pixels) in enumerate(zip(archive.manifest["file"], archive.images(), strict=True)):
        if pixels.shape != (side, side, 3):
            raise DataError(
                f"{file} in {archive.path} is {pixels.shape[1]}x{pixels.shape[0]} px and the first tile {side}x{side}: "
                "all tiles must be square and alike."
            )
        images[index] = pixels.transpose(2, 0, 1)
    labels, classes = _labels(archive)
    return Tiles(torch.from_numpy(images), labels, classes, mirror, seed)


def _labels(archive: ImageArchive) -> tuple[npt.NDArray[np.int64], list[dict[str, Any]]]:
    column, classes = archive.manifest["label"], archive.attachment(CLASSES) or []
    if column.isna().all():
        return np.zeros(len(column), dtype=np.int64), []
    if column.isna().any():
        raise DataError(f"{int(column.isna().sum())} tiles of {archive.path} have no label: label all of them or none.")
    if len(classes) < 2:
        raise DataError(
            f"{archive.path} has labels, and its {CLASSES} names {len(classes)} class(es): a conditional GAN needs at "
            "least two; pack with another scheme, or without labels."
        )
    labels = column.to_numpy(dtype=np.int64)
    for index, one in enumerate(classes):
        if not (labels == index).any():
            raise DataError(f"{archive.path} has no tile of class {one['name']!r}: a GAN cannot learn it from nothing.")
    if labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(f"{archive.path} has labels outside its {len(classes)} classes: pack it again.")
    return labels, classes
