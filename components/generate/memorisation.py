"""Near-copies of training tiles, in any of the 8 orientations of the square, in feature space and as images.

In feature space the measure is Carlini et al. 2023's (Extracting Training Data from Diffusion Models, section 5.1): the
distance to the nearest training tile, divided by the mean distance to the next ones. A copy is far nearer to its
original than to anything else; an image that merely has a patient's stain is near to all of that patient's tiles. The
nearest tiles are then registered to the image (`image_similarity`). Both thresholds are fitted to the distances of
held-out real tiles, which are not copies, to the training tiles, and to nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from components.core.data.archive import ImageArchive
from components.core.data.images import Pixels
from components.core.errors import DataError
from components.core.features.extract import Features, features_of, to_batches, unit_features
from components.core.features.extractors import Extractor
from components.generate.image_similarity import image_distances, thumbnails

ORIENTATIONS = 8
MIN_HELD_OUT = 8  # tiles below which no threshold can be fitted
_NEXT = 20  # training tiles that the nearest is compared with
_REGISTERED = 32  # nearest tiles in feature space that are compared as images
_SHARE = 0.005  # of held-out tiles may be taken for copies by each threshold: 1 % by both
_DEVIATIONS = 4.0  # below the median, if that is lower: a few held-out patients do not show how near the next one comes
_DUPLICATE = 0.02  # image distance below which a held-out tile is a training tile: the data have it twice

_Indices = npt.NDArray[np.int64]
_Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NearestTiles:
    """The nearest training tiles of n images.

    Attributes:
        by_features: Index of the training tile nearest in feature space, [n].
        feature_ratio: Its distance, divided by the mean distance of the next ones, 0 (a copy) to 1, [n].
        by_image: Index of the training tile nearest as an image, [n].
        image_distance: Its distance, 0 (a copy) to 2, [n].
    """

    by_features: _Indices
    feature_ratio: _Values
    by_image: _Indices
    image_distance: _Values


@dataclass(frozen=True)
class TrainingIndex:
    """The training tiles, searchable in feature space and as images.

    Attributes:
        features: Unit features, [8 m, d], the orientations of a tile one after another.
        thumbnails: Thumbnails, [m, 1, 32, 32].
        files: Names of the tiles in their archive.
    """

    features: Features
    thumbnails: Tensor
    files: list[str]

    def search(self, images: Tensor, features: Features) -> NearestTiles:
        """The nearest tiles of uint8 images [n, 3, H, W] with these features [n, d]."""
        cosine = unit_features(features) @ self.features.T  # [n, 8 m]
        squared = (2 - 2 * cosine.astype(np.float64)).clip(min=0)
        distance = np.sqrt(squared.reshape(len(features), -1, ORIENTATIONS).min(axis=2))  # [n, m], best orientation
        count = min(max(_NEXT + 1, _REGISTERED), distance.shape[1])
        order = np.argpartition(distance, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(distance, order, axis=1)
        order = np.take_along_axis(order, near.argsort(axis=1), axis=1)  # [n, count], nearest first
        near.sort(axis=1)
        ratio = near[:, 0] / near[:, 1 : _NEXT + 1].mean(axis=1).clip(min=1e-12)
        rows = zip(thumbnails(images), torch.from_numpy(order), strict=True)
        as_images = torch.stack([image_distances(image, self.thumbnails[indices]) for image, indices in rows])
        image_distance, best = as_images.double().min(dim=1)  # of [n, count]
        by_image = np.take_along_axis(order, best.numpy()[:, None], axis=1)[:, 0]
        return NearestTiles(order[:, 0], ratio, by_image, image_distance.numpy())


@dataclass(frozen=True)
class NearCopyGate:
    """The rule that says which images are near-copies.

    Attributes:
        index: The training tiles.
        ratio: Feature ratio below which an image is a near-copy.
        distance: Image distance below which an image is a near-copy.
        duplicates: Number of held-out tiles that are training tiles; they were left out of the fit.
        extractor_title: Name of the feature network, for the page.
    """

    index: TrainingIndex
    ratio: float
    distance: float
    duplicates: int
    extractor_title: str

    @property
    def rule(self) -> str:
        """The definition of a near-copy, as sentences for a page."""
        excluded = (
            f" {self.duplicates} held-out tiles are training tiles, too, and were left out." if self.duplicates else ""
        )
        return (
            f"An image is a near-copy of one of {len(self.index.files)} training tiles, in any of 8 orientations, "
            f"when its distance to it in features of {self.extractor_title} is below {self.ratio:.3f} times the mean "
            f"distance to the next ones, or when the distance of the registered images (1 - correlation) is below "
            f"{self.distance:.3f}. Both thresholds are fitted to held-out real tiles: at most 1 % of them would be "
            f"taken for copies.{excluded}"
        )

    def is_copy(self, nearest: NearestTiles) -> npt.NDArray[np.bool_]:
        """Which images are near-copies, [n]."""
        return (nearest.feature_ratio < self.ratio) | (nearest.image_distance < self.distance)

    def original_file(self, nearest: NearestTiles, row: int) -> str:
        """Name of the nearest training tile: the nearest image where that makes a copy, else the nearest features."""
        is_image_copy = nearest.image_distance[row] < self.distance
        return self.index.files[int((nearest.by_image if is_image_copy else nearest.by_features)[row])]


def build_training_index(extractor: Extractor, train: ImageArchive, batch: int) -> TrainingIndex:
    """The index of an archive's tiles; a tile takes 8 feature vectors and 4 kB.

    Args:
        extractor: Feature network.
        train: The generator's training tiles.
        batch: Images per pass.
    """
    oriented = (view for image in train.images() for view in orientations(image))
    total = ORIENTATIONS * len(train)
    features = unit_features(
        features_of(extractor, oriented, batch, "features of training tiles, 8 orientations", total)
    )
    stacks = [torch.empty(0, 1, 1, 1), *(thumbnails(stack) for stack in to_batches(train.images(), batch))]
    return TrainingIndex(features, torch.cat(stacks[1:] or stacks), train.manifest["file"].tolist())


def fit_near_copy_gate(
    extractor: Extractor, index: TrainingIndex, held_out: ImageArchive, features: Features, batch: int
) -> NearCopyGate:
    """A gate whose thresholds are fitted to held-out tiles.

    Args:
        extractor: Feature network of `index` and `features`.
        index: The generator's training tiles, at least 2.
        held_out: Real tiles of patients that the generator has not seen, at least `MIN_HELD_OUT` that are not in
            `index`.
        features: Features of the held-out tiles, [n, d].
        batch: Images per pass.

    Raises:
        DataError: Too few tiles.
    """
    searches, start = [], 0
    for stack in to_batches(held_out.images(), batch):
        searches.append(index.search(stack, features[start : start + len(stack)]))
        start += len(stack)
    ratio = np.concatenate([np.empty(0), *(nearest.feature_ratio for nearest in searches)])
    distance = np.concatenate([np.empty(0), *(nearest.image_distance for nearest in searches)])
    is_new = distance >= _DUPLICATE
    if len(index.files) < 2 or is_new.sum() < MIN_HELD_OUT:
        raise DataError(
            f"The near-copy gate needs 2 training tiles and {MIN_HELD_OUT} held-out tiles that are not among them, "
            f"there are {len(index.files)} and {is_new.sum()}: give more inner-validation patients, or switch it off "
            "with --no-near-copy-gate."
        )
    return NearCopyGate(
        index,
        near_copy_threshold(ratio[is_new]),
        near_copy_threshold(distance[is_new]),
        int((~is_new).sum()),
        extractor.title,
    )


def near_copy_threshold(values: npt.NDArray[np.float64]) -> float:
    """The 0.5 % quantile of the values, or 4 robust standard deviations below their median, if that is lower."""
    median = float(np.median(values))
    deviation = 1.4826 * float(np.median(np.abs(values - median)))
    return min(float(np.quantile(values, _SHARE, method="lower")), median - _DEVIATIONS * deviation)


def orientations(image: Pixels) -> Iterator[Pixels]:
    """The 8 orientations of a square image [H, H, 3]."""
    for side in (image, image[:, ::-1]):
        for quarter_turns in range(4):
            yield np.ascontiguousarray(np.rot90(side, quarter_turns))
