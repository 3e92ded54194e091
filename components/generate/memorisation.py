"""Whether an image is a near-copy of a training tile, over the 8 orientations of the square, in two spaces.

In an extractor's features the measure is Carlini et al. 2023's (Extracting Training Data from Diffusion Models, section
5.1): the distance to the nearest training tile, divided by the mean distance to the next ones. A copy is far nearer to
its original than to anything else; an image that merely has a patient's stain is near to all of that patient's tiles.
The tiles found so are then laid over the image (`registration`). What counts as too near is learnt, in both spaces,
from the distances of held-out real tiles, which are no copies, to the training tiles, and from nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from components.core.data.archive import ImageArchive, Pixels
from components.core.errors import DataError
from components.core.features.extract import Features, features_of, to_batches
from components.core.features.extractors import Extractor
from components.generate.image_similarity import distances, thumbnails

ORIENTATIONS = 8
LEAST_HELD_OUT = 8  # tiles below which no threshold can be told
_NEXT = 20  # training tiles that the nearest is compared with
_LAID_OVER = 32  # of the nearest in features
_SHARE = 0.005  # of held-out tiles may look like copies in each space: 1 % in both
_DEVIATIONS = 4.0  # below the median, if that is lower: a few held-out patients do not show how near the next one comes
_SAME = 0.02  # apart at which a held-out tile is a training tile: the data have it twice, it tells nothing

Places = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Nearest:
    """What is seen of each of n images.

    Attributes:
        place: Of the training tile that is nearest in features, [n].
        ratio: Its distance, divided by the mean distance of the next ones, 0 (a copy) to 1, [n].
        like: Place of the training tile that is most like it as a picture, [n].
        apart: How far it is from that, 0 (a copy) to 2, [n].
    """

    place: Places
    ratio: Numbers
    like: Places
    apart: Numbers


@dataclass(frozen=True)
class Training:
    """The training tiles in both spaces.

    Attributes:
        features: Unit features, [8 m, d], the orientations of a tile one after another.
        pictures: Thumbnails, [m, 1, 32, 32].
        files: The tiles' names.
    """

    features: Features
    pictures: Tensor
    files: list[str]

    def nearest(self, images: Tensor, features: Features) -> Nearest:
        """The nearest tiles of uint8 images [n, 3, H, W] with these features [n, d]."""
        cosine = unit(features) @ self.features.T  # [n, 8 m]
        squared = (2 - 2 * cosine.astype(np.float64)).clip(min=0)
        distance = np.sqrt(squared.reshape(len(features), -1, ORIENTATIONS).min(axis=2))  # [n, m], best orientation
        count = min(max(_NEXT + 1, _LAID_OVER), distance.shape[1])
        order = np.argpartition(distance, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(distance, order, axis=1)
        order = np.take_along_axis(order, near.argsort(axis=1), axis=1)  # [n, count], nearest first
        near.sort(axis=1)
        ratio = near[:, 0] / near[:, 1 : _NEXT + 1].mean(axis=1).clip(min=1e-12)
        rows = zip(thumbnails(images), torch.from_numpy(order), strict=True)
        laid_over = torch.stack([distances(one, self.pictures[places]) for one, places in rows])  # [n, count]
        apart, best = laid_over.double().min(dim=1)
        like = np.take_along_axis(order, best.numpy()[:, None], axis=1)[:, 0]
        return Nearest(order[:, 0], ratio, like, apart.numpy())


@dataclass(frozen=True)
class Gate:
    """Tells near-copies.

    Attributes:
        training: What they could be copies of.
        ratio: Below it an image is a near-copy.
        apart: Below it, too.
        same: Held-out tiles that are training tiles, and were not asked.
        shown: What the rule is called after: the extractor's title.
    """

    training: Training
    ratio: float
    apart: float
    same: int
    shown: str

    @property
    def rule(self) -> str:
        """What a near-copy is, as sentences for a page."""
        twice = f" {self.same} held-out tiles are training tiles, too, and were not asked." if self.same else ""
        return (
            f"An image is a near-copy of one of {len(self.training.files)} training tiles, in any of 8 orientations, "
            f"when in features of {self.shown} it is nearer to it than {self.ratio:.3f} times the mean distance to the "
            f"next ones, or when, laid over it, it is less than {self.apart:.3f} apart (1 - correlation). Held-out "
            f"real tiles set both numbers: of them at most 1 % would be taken for copies.{twice}"
        )

    def is_copy(self, nearest: Nearest) -> npt.NDArray[np.bool_]:
        """Which images are near-copies, [n]."""
        return (nearest.ratio < self.ratio) | (nearest.apart < self.apart)

    def original(self, nearest: Nearest, row: int) -> str:
        """Name of the training tile that an image is nearest to: as a picture where it is a copy by that."""
        place = nearest.like if nearest.apart[row] < self.apart else nearest.place
        return self.training.files[place[row]]


def look_at(extractor: Extractor, train: ImageArchive, batch: int) -> Training:
    """The training tiles in both spaces; a tile takes 8 feature vectors and 4 kB."""
    turned = (one for image in train.images() for one in orientations(image))
    total = ORIENTATIONS * len(train)
    features = unit(features_of(extractor, turned, batch, "features of training tiles, 8 orientations", total))
    pictures = [torch.empty(0, 1, 1, 1), *(thumbnails(stack) for stack in to_batches(train.images(), batch))]
    return Training(features, torch.cat(pictures[1:] or pictures), train.manifest["file"].tolist())


def make_gate(extractor: Extractor, training: Training, held_out: ImageArchive, features: Features, batch: int) -> Gate:
    """A gate whose thresholds are the held-out tiles'.

    Args:
        extractor: Whose features they are.
        training: The generator's training tiles, at least 2.
        held_out: Real tiles of patients that it has not seen, at least `LEAST_HELD_OUT` that no training tile equals.
        features: Of the held-out tiles.
        batch: Images at once.
    """
    seen, start = [], 0
    for stack in to_batches(held_out.images(), batch):
        seen.append(training.nearest(stack, features[start : start + len(stack)]))
        start += len(stack)
    ratio, apart = (np.concatenate([np.empty(0), *(getattr(one, name) for one in seen)]) for name in ("ratio", "apart"))
    other = apart >= _SAME
    if len(training.files) < 2 or other.sum() < LEAST_HELD_OUT:
        raise DataError(
            f"The near-copy gate needs 2 training tiles and {LEAST_HELD_OUT} held-out tiles that are not among them, "
            f"there are {len(training.files)} and {other.sum()}: give more inner-validation patients, or go on without "
            "it by --no-near-copy-gate."
        )
    return Gate(training, low(ratio[other]), low(apart[other]), int((~other).sum()), extractor.title)


def low(values: Numbers) -> float:
    """What 0.5 % of the values fall below, or 4 robust standard deviations below their median, if that is lower."""
    middle = float(np.median(values))
    deviation = 1.4826 * float(np.median(np.abs(values - middle)))
    return min(float(np.quantile(values, _SHARE, method="lower")), middle - _DEVIATIONS * deviation)


def orientations(image: Pixels) -> Iterator[Pixels]:
    """The 8 orientations of a square image [H, H, 3]."""
    for one in (image, image[:, ::-1]):
        for quarter_turns in range(4):
            yield np.ascontiguousarray(np.rot90(one, quarter_turns))


def unit(features: Features) -> Features:
    """Feature vectors of length 1."""
    return features / np.linalg.norm(features, axis=1, keepdims=True).clip(min=1e-12)
