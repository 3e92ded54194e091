"""What trainings of classifiers show to whoever watches them from outside."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from components.core.telemetry import series
from components.core.telemetry.live import stage_metrics

T = TypeVar("T")


def dials(arm: str, seed: int, tiles: int) -> Callable[[dict[str, Any]], None]:
    """A function that shows each epoch of one training.

    Args:
        arm: Its arm.
        seed: Its classifier seed.
        tiles: That an epoch looks at.
    """
    told, known, shown_s = stage_metrics().set, {"arm": arm, "seed": str(seed)}, [time.monotonic()]

    def show(epoch: dict[str, Any]) -> None:
        shown_s.append(time.monotonic())
        told(series.IMAGES_PER_SECOND, tiles / max(shown_s[-1] - shown_s[-2], 1e-9))
        told(series.EPOCH, epoch["epoch"], **known)
        told(series.CLASSIFIER_LOSS, epoch["train_loss"], part="train", **known)
        told(series.CLASSIFIER_LOSS, epoch["val_loss"], part="validation", **known)
        told(series.VAL_AUROC, epoch["val_auroc"], **known)

    return show


def counted(trainings: Iterator[T], arms: Sequence[str], seeds: int) -> Iterator[T]:
    """Yields what trainings give, arm by arm, and shows how many are done."""
    stage_metrics().plan("trainings", len(arms) * seeds)
    stage_metrics().plan("arms", len(arms))
    for number, done in enumerate(trainings, 1):
        stage_metrics().count_done("trainings")
        if number % seeds == 0:
            stage_metrics().count_done("arms")
        yield done
