"""The training tiles: in memory as bytes, handed out in an endless order that is a function of (seed, images seen)."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.data.archive import CLASSES, ImageArchive
from components.core.errors import DataError
from components.core.io.atomic_files import digest

Indices = npt.NDArray[np.int64]

SMALLEST_PX = 8
ORIENTATIONS = {"none": 1, "mirror": 2, "d4": 8}  # in which each tile is shown
_SHARE_OF_GPU = 0.5  # of its free memory that tiles may take


class Tiles:
    """Tiles and labels of a GanDataset.

    Attributes:
        images: [M, 3, R, R] uint8, on the training's device or in the host's memory.
        labels: Class index of each; all 0 without classes.
        classes: The archive's classes.json; empty = unconditional.
        c_dim: How many classes.
        resolution: R.
        digest: Of everything a training sees of them.
    """

    def __init__(self, images: Tensor, labels: Indices, classes: list[dict[str, Any]], content: str = "") -> None:
        self.images, self.labels, self.classes, self.digest = images, labels, classes, content
        self.c_dim = len(classes)
        self.resolution = images.shape[-1]

    def to(self, device: torch.device) -> None:
        """Moves the images to a GPU, or where they would take too much of it into memory that it reads fast."""
        if device.type != "cuda":
            return
        free_bytes, _ = torch.cuda.mem_get_info(device)
        is_small = self.images.nbytes <= free_bytes * _SHARE_OF_GPU
        self.images = self.images.to(device) if is_small else self.images.pin_memory()

    def reals(self, tile: Indices, orientation: Indices, device: torch.device) -> tuple[Tensor, Tensor]:
        """Tiles as images [n, 3, R, R] in [-1, 1], turned, and label vectors [n, c_dim]."""
        images = self.images[torch.from_numpy(tile).to(self.images.device)]
        if self.images.is_pinned():
            images = images.pin_memory()
        images = images.to(device, non_blocking=True).float() / 127.5 - 1
        return apply_orientation(images, orientation), self.one_hot(self.labels[tile]).to(device, non_blocking=True)

    def one_hot(self, labels: Indices) -> Tensor:
        """Label vectors [n, c_dim]."""
        if self.c_dim == 0:
            return torch.zeros(len(labels), 0)
        return F.one_hot(torch.from_numpy(labels), self.c_dim).float()


class InfiniteSampler:
    """The endless order of tiles.

    An epoch shows every tile in every orientation once, in another permutation each time. Balanced, classes take turns
    in blocks that hold each once, and epochs are a class's own.
    """

    def __init__(self, labels: Indices, c_dim: int, symmetry: str, balanced: bool, seed: int) -> None:
        self._seed, self._turns = seed, ORIENTATIONS[symmetry]
        self._labels, self._kinds = labels, max(c_dim, 1)
        self._is_balanced = balanced and c_dim > 0
        groups = range(c_dim) if self._is_balanced else range(1)
        self._groups = [
            np.flatnonzero(labels == kind) if self._is_balanced else np.arange(len(labels)) for kind in groups
        ]
        self._epochs: dict[int, tuple[int, Indices]] = {}

    def at(self, positions: Iterable[int]) -> tuple[Indices, Indices]:
        """Tile and orientation of each position; the n-th image ever shown stands at n."""
        found = np.array([self._at(position) for position in positions], dtype=np.int64).reshape(-1, 2)
        return found[:, 0], found[:, 1]

    def random_labels(self, rng: np.random.Generator, n: int) -> Indices:
        """Classes of uniformly drawn tiles; balanced, uniformly drawn classes."""
        return rng.integers(self._kinds, size=n) if self._is_balanced else rng.choice(self._labels, n)

    def _at(self, position: int) -> tuple[int, int]:
        block, place = divmod(position, len(self._groups))
        kind = 0
        if self._is_balanced:
            kind = int(np.random.default_rng([self._seed, 1, block]).permutation(self._kinds)[place])
        group = self._groups[kind]
        epoch, index = divmod(block, len(group) * self._turns)
        known = self._epochs.get(kind)
        if known is None or known[0] != epoch:
            order = np.random.default_rng([self._seed, 0, kind, epoch]).permutation(len(group) * self._turns)
            known = self._epochs[kind] = (epoch, order)
        orientation, member = divmod(int(known[1][index]), len(group))
        return int(group[member]), orientation


def apply_orientation(images: Tensor, orientation: Indices) -> Tensor:
    """Images [n, C, R, R], each in one of eight orientations: mirrored if odd, and then turned o // 2 times by 90°."""
    result = images.clone()
    for one in np.unique(orientation[orientation > 0]).tolist():
        chosen = torch.from_numpy(np.flatnonzero(orientation == one)).to(images.device)
        some = images[chosen]
        some = some.flip(3) if one % 2 else some
        result[chosen] = some.rot90(one // 2, (2, 3))
    return result


def load_tiles(archive: ImageArchive) -> Tiles:
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
    content = digest([archive.manifest["sha256"].tolist(), labels.tolist(), classes])
    return Tiles(torch.from_numpy(images), labels, classes, content)


def _labels(archive: ImageArchive) -> tuple[Indices, list[dict[str, Any]]]:
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
