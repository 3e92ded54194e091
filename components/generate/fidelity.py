"""Whether a generated tile of a class looks like that class, and whether a class still has its variety."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from components.core.features.extract import Features
from components.core.statistics.intervals import wilson_interval
from components.generate.memorisation import unit

COLLAPSED = 0.5  # of what real tiles have, in recognition or in spread
_STRENGTH = 0.1  # inverse of the regularisation: features outnumber the tiles

Classes = npt.NDArray[np.int64]


class Reader:
    """Logistic regression that tells the classes of training tiles from their features, classes weighed equally."""

    def __init__(self, features: Features, classes: Classes) -> None:
        """Fits it on features [n, d] and class indices [n] of at least two classes."""
        self._model = make_pipeline(
            StandardScaler(), LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=1000)
        )
        self._model.fit(unit(features), classes)

    def __call__(self, features: Features) -> Classes:
        """Class indices [n] of features [n, d]."""
        return self._model.predict(unit(features)) if len(features) else np.empty(0, np.int64)


@dataclass
class Tally:
    """What was seen of the tiles of one class.

    Attributes:
        tiles: How many.
        recognised: How many a `Reader` took for this class.
    """

    tiles: int = 0
    recognised: int = 0
    _sum: Any = 0.0

    def add(self, features: Features, reader: Reader | None, index: int) -> None:
        """Counts tiles of a class by their features [n, d]; without a reader none is recognised."""
        self.tiles += len(features)
        self.recognised += int((reader(features) == index).sum()) if reader else 0
        self._sum = self._sum + unit(features).sum(axis=0, dtype=np.float64)

    @property
    def share(self) -> float | None:
        """Share that was recognised; None of no tiles."""
        return self.recognised / self.tiles if self.tiles else None

    @property
    def spread(self) -> float | None:
        """Root mean squared distance of the unit features to their mean, 0 (all the same) to 1; None below two."""
        if self.tiles < 2:
            return None
        mean = self._sum / self.tiles  # [d]
        return float(np.sqrt(max(1 - mean @ mean, 0)))


def tallies(reader: Reader | None, features: Features, classes: Classes, indices: Sequence[int]) -> dict[int, Tally]:
    """A tally of each class of real tiles."""
    found = {index: Tally() for index in indices}
    for index, tally in found.items():
        tally.add(features[classes == index], reader, index)
    return found


def fidelity_row(name: str, classes: int, made: Tally, train: Tally, held_out: Tally) -> dict[str, Any]:
    """One class's line of the table, `alarm` being a sentence or ''.

    Recognition is set against the same reader's on held-out tiles, spread against the training tiles'. A class has
    collapsed when less than half is left of either; recognition counts only where the reader is better than chance on
    held-out tiles, and beyond what chance does to so few tiles (95 %, Wilson).

    Args:
        name: Of the class.
        classes: How many the reader tells apart; 1 = there is none.
        made: The generated tiles of the class.
        train: Its training tiles.
        held_out: Its held-out tiles.
    """
    alarms = []
    spread = made.spread / train.spread if made.spread is not None and train.spread else None
    recognised, expected = (one.share if classes > 1 else None for one in (made, held_out))
    if recognised is not None and expected is not None:
        least = wilson_interval(held_out.recognised, held_out.tiles).low or 0
        most = wilson_interval(made.recognised, made.tiles).high or 0
        if least > 1 / classes and most < COLLAPSED * expected:
            alarms.append(
                f"{recognised:.0%} of the generated tiles of {name} are recognised as such, of held-out real ones "
                f"{expected:.0%}"
            )
    if spread is not None and spread < COLLAPSED:
        alarms.append(f"generated tiles of {name} have {spread:.0%} of the spread of real ones")
    return {
        "name": name,
        "generated": made.tiles,
        "recognised": recognised,
        "held_out": held_out.tiles,
        "held_out_recognised": expected,
        "spread": spread,
        "alarm": "; ".join(alarms),
    }
