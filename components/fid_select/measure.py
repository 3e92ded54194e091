"""The distances of one snapshot's images to the real ones, pooled and per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from components.core.features.extract import Features
from components.core.fidelity.fid import frechet_distance
from components.core.fidelity.kid import kernel_distance
from components.core.fidelity.prdc import compute_prdc

LEAST = 3  # samples of a set below which a distance has no standard error
NEIGHBOURS = 3
SUBSETS, SCREENING_SUBSETS = 100, 20  # of the kernel distance
HELD_OUT = "_held_out"  # ends the name of a distance to the held-out tiles
KERNEL, FRECHET, SCREENED_FRECHET = "kid", "fid", "fid_screening"
COVERAGE = ("precision", "recall", "density", "coverage")


@dataclass(frozen=True)
class ClassFeatures:
    """Features [n, d] of images and the class index [n] of each."""

    features: Features
    classes: npt.NDArray[np.int64]

    def of(self, index: int) -> "ClassFeatures":
        """The part of one class."""
        return ClassFeatures(self.features[self.classes == index], self.classes[self.classes == index])

    def __len__(self) -> int:
        return len(self.features)


def measure(
    fakes: ClassFeatures,
    train: ClassFeatures,
    held_out: ClassFeatures,
    classes: Sequence[dict[str, Any]],
    seed: int,
    *,
    full: bool,
) -> dict[str, Any]:
    """The distances of a snapshot to the training tiles and, by names that end in `_held_out`, to the held-out ones.

    `images, tiles, tiles_held_out` say of how many. A distance is None where a set is too small for it.

    Args:
        fakes: Generated images.
        train: The training tiles.
        held_out: Tiles of patients that the generator has not seen.
        classes: `index`, `name` of each class; `classes` of the result has the same distances for each.
        seed: Seed of the kernel distance's subsets.
        full: All distances; else the kernel distances alone, from fewer subsets, and as `fid_screening` the Fréchet
            distance to the training tiles, which on fewer images is another measure than `fid`.
    """
    of_classes = []
    for entry in classes:
        index = entry["index"]
        row = _row(fakes.of(index), train.of(index), held_out.of(index), seed, full)
        of_classes.append({"name": entry["name"], **row})
    row = _row(fakes, train, held_out, seed, full)
    if not full and min(len(train), len(fakes)) >= LEAST:
        row[SCREENED_FRECHET] = frechet_distance(train.features, fakes.features)
    return {**row, "classes": of_classes}


def _row(fakes: ClassFeatures, train: ClassFeatures, held_out: ClassFeatures, seed: int, full: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"images": len(fakes), "tiles": len(train), f"tiles{HELD_OUT}": len(held_out), "full": full}
    for real, suffix in ((train, ""), (held_out, HELD_OUT)):
        row |= _kernel(real.features, fakes.features, KERNEL + suffix, seed, full)
        enough = full and min(len(real), len(fakes)) >= LEAST
        row[FRECHET + suffix] = frechet_distance(real.features, fakes.features) if enough else None
    enough = full and min(len(train), len(fakes)) > NEIGHBOURS
    values = compute_prdc(train.features, fakes.features, k=NEIGHBOURS) if enough else None
    return row | {name: getattr(values, name, None) for name in COVERAGE}


def _kernel(real: Features, fake: Features, name: str, seed: int, full: bool) -> dict[str, float | None]:
    """The kernel distance, its standard error, and the part of it that more images would remove."""
    if min(len(real), len(fake)) < LEAST:
        return dict.fromkeys((name, f"{name}_se", f"{name}_sampling_se"))
    distance = kernel_distance(real, fake, subsets=SUBSETS if full else SCREENING_SUBSETS, seed=seed)
    return {
        name: distance.value,
        f"{name}_se": distance.standard_error,
        f"{name}_sampling_se": distance.sampling_error,
    }
