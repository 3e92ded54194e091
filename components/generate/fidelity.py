"""Fidelity of each class: whether its generated tiles are recognised as that class, and whether they vary as real ones.

Recognition is a linear probe's on features of the training tiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from components.core.features.extract import Features, unit_features
from components.core.records.generate import ClassFidelityRow
from components.core.statistics.intervals import wilson_interval

COLLAPSE_SHARE = 0.5  # of the real tiles' recognition or spread, below which a class has collapsed
_INVERSE_REGULARISATION = 0.1  # strong, because features outnumber the tiles

_Indices = npt.NDArray[np.int64]


class LinearProbe:
    """Logistic regression from features to classes, with balanced class weights."""

    def __init__(self, features: Features, classes: _Indices) -> None:
        """Fits the probe.

        Args:
            features: Features of the training tiles, [n, d].
            classes: Their class indices, [n], of at least two classes.
        """
        self._model = make_pipeline(
            StandardScaler(), LogisticRegression(C=_INVERSE_REGULARISATION, class_weight="balanced", max_iter=1000)
        )
        self._model.fit(unit_features(features), classes)

    def predict(self, features: Features) -> _Indices:
        """Class indices [n] of features [n, d]."""
        return self._model.predict(unit_features(features)) if len(features) else np.empty(0, np.int64)


@dataclass
class ClassStats:
    """Running statistics of the tiles of one class.

    Attributes:
        tiles: Number of tiles.
        recognised: Number of them that a `LinearProbe` assigns to this class.
    """

    tiles: int = 0
    recognised: int = 0
    _sum: Any = 0.0

    def add(self, features: Features, probe: LinearProbe | None, index: int) -> None:
        """Adds tiles of a class.

        Args:
            features: Their features, [n, d].
            probe: The linear probe; None = no tile counts as recognised.
            index: Index of the class.
        """
        self.tiles += len(features)
        self.recognised += int((probe.predict(features) == index).sum()) if probe else 0
        self._sum = self._sum + unit_features(features).sum(axis=0, dtype=np.float64)

    @property
    def share_recognised(self) -> float | None:
        """Share of recognised tiles, 0..1; None without tiles."""
        return self.recognised / self.tiles if self.tiles else None

    @property
    def spread(self) -> float | None:
        """Root mean squared distance of the unit features to their mean, 0 (all the same) to 1; None below two."""
        if self.tiles < 2:
            return None
        mean = self._sum / self.tiles  # [d]
        return float(np.sqrt(max(1 - mean @ mean, 0)))


def stats_per_class(
    probe: LinearProbe | None, features: Features, classes: _Indices, indices: Sequence[int]
) -> dict[int, ClassStats]:
    """Class index -> statistics of its real tiles.

    Args:
        probe: The linear probe; None = no tile counts as recognised.
        features: Features of the tiles, [n, d].
        classes: Their class indices, [n].
        indices: Class indices to report on.
    """
    stats = {index: ClassStats() for index in indices}
    for index, of_class in stats.items():
        of_class.add(features[classes == index], probe, index)
    return stats


def class_fidelity(
    name: str,
    index: int,
    classes: int,
    generated: ClassStats,
    train: ClassStats,
    held_out: ClassStats,
    near_copies: int = 0,
) -> ClassFidelityRow:
    """How one class's generated tiles compare with its real ones.

    Recognition is compared with the same probe's on held-out tiles, spread with the training tiles'. A class has
    collapsed when less than half is left of either; recognition counts only where the probe is better than chance on
    held-out tiles, and beyond what chance does to so few tiles (95 %, Wilson).

    Args:
        name: Name of the class.
        index: Index of the class.
        classes: Number of classes that the probe distinguishes; 1 = there is no probe.
        generated: Statistics of the generated tiles.
        train: Statistics of the training tiles.
        held_out: Statistics of the held-out tiles.
        near_copies: Number of dropped near-copies.
    """
    alarms = []
    spread = generated.spread / train.spread if generated.spread is not None and train.spread else None
    recognised, expected = (stats.share_recognised if classes > 1 else None for stats in (generated, held_out))
    if recognised is not None and expected is not None:
        least = wilson_interval(held_out.recognised, held_out.tiles).low or 0
        most = wilson_interval(generated.recognised, generated.tiles).high or 0
        if least > 1 / classes and most < COLLAPSE_SHARE * expected:
            alarms.append(
                f"{recognised:.0%} of the generated tiles of {name} are recognised as such, of held-out real ones "
                f"{expected:.0%}"
            )
    if spread is not None and spread < COLLAPSE_SHARE:
        alarms.append(f"generated tiles of {name} have {spread:.0%} of the spread of real ones")
    return ClassFidelityRow(
        name=name,
        generated=generated.tiles,
        recognised=recognised,
        held_out=held_out.tiles,
        held_out_recognised=expected,
        spread=spread,
        alarm="; ".join(alarms),
        class_index=index,
        near_copies=near_copies,
    )
