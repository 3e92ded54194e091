"""Live metrics of the trainings: epochs and losses of each, and the number of finished ones."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from components.core.telemetry import series
from components.core.telemetry.live import stage_metrics

T = TypeVar("T")


class EpochLogger:
    """Sets the metrics of one training after each of its epochs."""

    def __init__(self, arm: str, seed: int, tiles: int) -> None:
        """Names the training.

        Args:
            arm: Name of its arm.
            seed: Classifier seed.
            tiles: Number of training tiles per epoch.
        """
        self._metrics, self._labels = stage_metrics(), {"arm": arm, "seed": str(seed)}
        self._tiles, self._last_s = tiles, time.monotonic()

    def log(self, epoch: Mapping[str, Any]) -> None:
        """Sets the metrics to those of an epoch: epoch, train_loss, val_loss, val_auroc."""
        now_s = time.monotonic()
        self._metrics.set(series.IMAGES_PER_SECOND, self._tiles / max(now_s - self._last_s, 1e-9))
        self._last_s = now_s
        self._metrics.set(series.EPOCH, epoch["epoch"], **self._labels)
        self._metrics.set(series.CLASSIFIER_LOSS, epoch["train_loss"], part="train", **self._labels)
        self._metrics.set(series.CLASSIFIER_LOSS, epoch["val_loss"], part="validation", **self._labels)
        self._metrics.set(series.VAL_AUROC, epoch["val_auroc"], **self._labels)


def count_trainings(results: Iterator[T], arms: Sequence[str], seeds: int) -> Iterator[T]:
    """Yields the trainings' results, which come arm by arm, and counts finished trainings and arms.

    Args:
        results: The results.
        arms: Names of the arms.
        seeds: Number of trainings per arm.
    """
    stage_metrics().plan("trainings", len(arms) * seeds)
    stage_metrics().plan("arms", len(arms))
    for number, result in enumerate(results, 1):
        stage_metrics().count_done("trainings")
        if number % seeds == 0:
            stage_metrics().count_done("arms")
        yield result
