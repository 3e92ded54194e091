"""Whether an image is a near-copy of a training tile, over the 8 orientations of the square.

The measure is Carlini et al. 2023's (Extracting Training Data from Diffusion Models, section 5.1): the distance to the
nearest training tile, divided by the mean distance to the next ones. A copy is far nearer to its original than to
anything else; an image that merely has a patient's stain is near to all of that patient's tiles. What counts as far
nearer is learnt from held-out real tiles, which are no copies.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.core.archive import ImageArchive, Pixels
from components.core.errors import DataError
from components.core.features import Extractor, Features, features_of

ORIENTATIONS = 8
LEAST_HELD_OUT = 8  # tiles below which no threshold can be told
_NEXT = 20  # training tiles that the nearest is compared with
_QUANTILE = 0.01  # share of held-out tiles that may look like copies


@dataclass(frozen=True)
class Nearest:
    """What the gate sees of each image of a batch.

    Attributes:
        place: Of the nearest training tile, [n].
        distance: To it: Euclidean between unit feature vectors, 0 (the same) to 2, [n].
        ratio: That distance divided by the mean distance to the next training tiles, 0 (a copy) to 1, [n].
    """

    place: npt.NDArray[np.int64]
    distance: npt.NDArray[np.float64]
    ratio: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Gate:
    """Tells near-copies.

    Attributes:
        extractor: In whose features distances are taken.
        reference: Unit features of the training tiles, [8 n, d], the orientations of a tile one after another.
        files: The training tiles' names, [n].
        threshold: Ratio below which an image is a near-copy.
    """

    extractor: Extractor
    reference: Features
    files: list[str]
    threshold: float

    @property
    def rule(self) -> str:
        """What a near-copy is, as a sentence for a page."""
        return (
            f"An image is a near-copy when its distance to the nearest of {len(self.files)} training tiles, over 8 "
            f"orientations, is less than {self.threshold:.3f} times the mean distance to the next ones; held-out real "
            f"tiles set that number. Features: {self.extractor.title}."
        )

    def nearest(self, features: Features) -> Nearest:
        """The nearest training tile of each image, from its features [n, d]."""
        return _nearest(_unit(features), self.reference)


def make_gate(extractor: Extractor, train: ImageArchive, held_out: ImageArchive, batch: int) -> Gate:
    """A gate whose threshold is the 1 % quantile of held-out tiles' ratios, or their smallest where they are few.

    Args:
        extractor: Its features.
        train: The generator's training tiles, at least 2.
        held_out: Real tiles of patients that it has not seen, at least `LEAST_HELD_OUT`.
        batch: Images per pass.
    """
    if len(train) < 2 or len(held_out) < LEAST_HELD_OUT:
        raise DataError(
            f"The near-copy gate needs 2 training tiles and {LEAST_HELD_OUT} held-out tiles, there are {len(train)} "
            f"and {len(held_out)}: give more inner-validation patients, or go on without it by --no-near-copy-gate."
        )
    turned = (one for image in train.images() for one in orientations(image))
    total = ORIENTATIONS * len(train)
    reference = _unit(features_of(extractor, turned, batch, "features of training tiles, 8 orientations", total))
    unseen = _unit(features_of(extractor, held_out.images(), batch, "features of held-out tiles", len(held_out)))
    threshold = float(np.quantile(_nearest(unseen, reference).ratio, _QUANTILE, method="lower"))
    return Gate(extractor, reference, train.manifest["file"].tolist(), threshold)


def orientations(image: Pixels) -> Iterator[Pixels]:
    """The 8 orientations of a square image [H, H, 3]."""
    for one in (image, image[:, ::-1]):
        for quarter_turns in range(4):
            yield np.ascontiguousarray(np.rot90(one, quarter_turns))


def _unit(features: Features) -> Features:
    return features / np.linalg.norm(features, axis=1, keepdims=True).clip(min=1e-12)


def _nearest(features: Features, reference: Features) -> Nearest:
    cosine = features @ reference.T  # [n, 8 m]
    squared = (2 - 2 * cosine.astype(np.float64)).clip(min=0)
    distance = np.sqrt(squared.reshape(len(features), -1, ORIENTATIONS).min(axis=2))  # [n, m], best orientation
    count = min(_NEXT, distance.shape[1] - 1)
    order = np.argpartition(distance, count, axis=1)[:, : count + 1]
    near = np.take_along_axis(distance, order, axis=1)  # [n, count + 1], unsorted
    first = near.min(axis=1)
    rest = (near.sum(axis=1) - first) / count
    place = np.take_along_axis(order, near.argmin(axis=1)[:, None], axis=1)[:, 0]
    return Nearest(place, first, first / rest.clip(min=1e-12))
