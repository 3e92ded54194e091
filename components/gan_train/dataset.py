"""The training tiles, in memory as bytes, and the endless order in which they are shown."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.data.archive import ImageArchive
from components.core.data.file_names import CLASSES
from components.core.errors import DataError
from components.core.io.atomic_files import digest

Indices = npt.NDArray[np.int64]

MIN_SIDE_PX = 8
ORIENTATIONS = {"none": 1, "mirror": 2, "d4": 8}  # number of orientations in which each tile is shown
_MAX_GPU_SHARE = 0.5  # of the free memory, for tiles


class Tiles:
    """Tiles and labels of a GanDataset.

    Attributes:
        images: Tiles [M, 3, R, R], uint8, on the training's device or in the host's memory.
        labels: Class index of each tile; all 0 without classes.
        classes: Content of the archive's classes.json; empty = unconditional.
        c_dim: Number of classes.
        resolution: Side of the tiles R, pixels.
        digest: sha256 of everything that a training sees of them.
    """

    def __init__(self, images: Tensor, labels: Indices, classes: list[dict[str, Any]], content: str = "") -> None:
        self.images, self.labels, self.classes, self.digest = images, labels, classes, content
        self.c_dim = len(classes)
        self.resolution = images.shape[-1]

    def to(self, device: torch.device) -> None:
        """Moves the images to a GPU; where they would fill it, to pinned memory of the host."""
        if device.type != "cuda":
            return
        free_bytes, _ = torch.cuda.mem_get_info(device)
        is_small = self.images.nbytes <= free_bytes * _MAX_GPU_SHARE
        self.images = self.images.to(device) if is_small else self.images.pin_memory()

    def reals(self, tile: Indices, orientation: Indices, device: torch.device) -> tuple[Tensor, Tensor]:
        """Tiles as images [n, 3, R, R] in [-1, 1], each in its orientation, and label vectors [n, c_dim]."""
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
    """The endless order of tiles, a function of the seed and the number of images seen.

    An epoch shows every tile in every orientation once, in a new permutation each time. With `balanced`, classes take
    turns in blocks that hold each class once, and every class has its own epochs.
    """

    def __init__(self, labels: Indices, c_dim: int, symmetry: str, balanced: bool, seed: int) -> None:
        self._seed, self._orientations = seed, ORIENTATIONS[symmetry]
        self._labels, self._class_count = labels, max(c_dim, 1)
        self._is_balanced = balanced and c_dim > 0
        groups = range(c_dim) if self._is_balanced else range(1)
        self._groups = [
            np.flatnonzero(labels == kind) if self._is_balanced else np.arange(len(labels)) for kind in groups
        ]
        self._epochs: dict[int, tuple[int, Indices]] = {}

    def at(self, positions: Iterable[int]) -> tuple[Indices, Indices]:
        """Tile and orientation at each position; position n is the n-th image ever shown."""
        pairs = np.array([self._at(position) for position in positions], dtype=np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def random_labels(self, rng: np.random.Generator, n: int) -> Indices:
        """Classes of uniformly drawn tiles; with `balanced`, uniformly drawn classes."""
        return rng.integers(self._class_count, size=n) if self._is_balanced else rng.choice(self._labels, n)

    def _at(self, position: int) -> tuple[int, int]:
        block, offset = divmod(position, len(self._groups))
        kind = 0
        if self._is_balanced:
            kind = int(np.random.default_rng([self._seed, 1, block]).permutation(self._class_count)[offset])
        group = self._groups[kind]
        epoch, index = divmod(block, len(group) * self._orientations)
        current = self._epochs.get(kind)
        if current is None or current[0] != epoch:
            order = np.random.default_rng([self._seed, 0, kind, epoch]).permutation(len(group) * self._orientations)
            current = self._epochs[kind] = (epoch, order)
        orientation, member = divmod(int(current[1][index]), len(group))
        return int(group[member]), orientation


def apply_orientation(images: Tensor, orientation: Indices) -> Tensor:
    """Images [n, C, R, R], each in one of eight orientations o: mirrored if odd, then rotated o // 2 times by 90°."""
    result = images.clone()
    for number in np.unique(orientation[orientation > 0]).tolist():
        rows = torch.from_numpy(np.flatnonzero(orientation == number)).to(images.device)
        subset = images[rows]
        subset = subset.flip(3) if number % 2 else subset
        result[rows] = subset.rot90(number // 2, (2, 3))
    return result


def load_tiles(archive: ImageArchive) -> Tiles:
    """Reads all tiles of a GanDataset.

    Raises:
        DataError: Tiles on which a StyleGAN cannot be trained, or labels without classes.
    """
    if not len(archive):
        raise DataError(f"{archive.path} holds no tiles: pack a fold that has training tiles.")
    side = archive.resolution
    if side < MIN_SIDE_PX or side & (side - 1):
        raise DataError(
            f"The tiles of {archive.path} are {side} px wide: StyleGAN2 needs a power of two, at least {MIN_SIDE_PX}; "
            "tile with another resolution."
        )
    images = np.empty((len(archive), 3, side, side), dtype=np.uint8)
    for index, (file, pixels) in enumerate(zip(archive.manifest["file"], archive.images(), strict=True)):
        if pixels.shape != (side, side, 3):
            raise DataError(
                f"{file} in {archive.path} is {pixels.shape[1]}x{pixels.shape[0]} px and the first tile {side}x{side}: "
                "all tiles must be squares of one size."
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
    for index, entry in enumerate(classes):
        if not (labels == index).any():
            raise DataError(f"{archive.path} has no tile of class {entry['name']!r}: pack a fold that has some.")
    if labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(f"{archive.path} has labels outside its {len(classes)} classes: pack it again.")
    return labels, classes
