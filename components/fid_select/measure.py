"""The distances of one snapshot's images to the real ones, pooled and per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from components.core.archive import ImageArchive
from components.core.features import Extractor, Features, features_of
from components.core.statistics.frechet import frechet_distance
from components.core.statistics.kernel import KernelDistance, kernel_distance
from components.core.statistics.precision_recall import precision_recall

LEAST = 3  # samples of a set below which a distance has no standard error
NEIGHBOURS = 3


@dataclass(frozen=True)
class Sample:
    """Features [n, d] of images and the class index [n] of each."""

    features: Features
    classes: npt.NDArray[np.int64]

    def of(self, index: int) -> Features:
        """The features of one class."""
        return self.features[self.classes == index]


def read_sample(archive: ImageArchive, extractor: Extractor, batch: int, what: str) -> Sample:
    """The features of every tile of an archive, in stored order."""
    features = features_of(extractor, archive.images(), batch, what, len(archive))
    return Sample(features, archive.manifest["label"].to_numpy(np.int64))


def measure(
    fakes: Sample, train: Sample, held_out: Sample, classes: Sequence[dict[str, Any]], seed: int
) -> dict[str, Any]:
    """Every distance of a snapshot; None where a set is too small for it.

    Args:
        fakes: Generated images.
        train: The training tiles.
        held_out: Tiles of patients that the generator has not seen.
        classes: `index`, `name` of each class.
        seed: Of the subsets of the kernel distance.
    """
    kid, unseen = _kid(train.features, fakes.features, seed), _kid(held_out.features, fakes.features, seed)
    precision = recall = None
    if min(len(train.features), len(fakes.features)) > NEIGHBOURS:
        precision, recall = precision_recall(train.features, fakes.features, k=NEIGHBOURS)
    return {
        "fid": frechet_distance(train.features, fakes.features),
        "kid": _value(kid),
        "kid_se": kid.standard_error if kid else None,
        "fid_held_out": frechet_distance(held_out.features, fakes.features) if unseen else None,
        "kid_held_out": _value(unseen),
        "kid_held_out_se": unseen.standard_error if unseen else None,
        "precision": precision,
        "recall": recall,
        "classes": [
            {
                "name": one["name"],
                "kid": _value(_kid(train.of(one["index"]), fakes.of(one["index"]), seed)),
                "kid_held_out": _value(_kid(held_out.of(one["index"]), fakes.of(one["index"]), seed)),
            }
            for one in classes
        ],
    }


def _kid(real: Features, fake: Features, seed: int) -> KernelDistance | None:
    return kernel_distance(real, fake, seed=seed) if min(len(real), len(fake)) >= LEAST else None


def _value(distance: KernelDistance | None) -> float | None:
    return distance.value if distance else None
