"""The training from its start to its end, with what it measured averaged over ticks."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from components.core.errors import TrainingError
from components.core.progress import track
from components.gan_train.data import Tiles
from components.gan_train.loop import Training

MEASURES = ("loss_g", "loss_d", "r1_penalty", "path_length", "score_real", "score_fake")


def train(training: Training, tiles: Tiles, what: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """Runs all iterations; yields a row of statistics at every tick and whether a snapshot is due.

    Args:
        training: The state; it is advanced.
        tiles: What it is trained on.
        what: For the progress line.

    Raises:
        TrainingError: A loss is no longer a number.
    """
    s = training.settings
    end = math.ceil(s.kimg * 1000 / s.batch) * s.batch
    measured: dict[str, list[Tensor]] = defaultdict(list)
    since, started = training.images_seen, time.monotonic()
    for before in track(range(since, end, s.batch), what, unit="iterations"):
        for name, value in training.step(training.draw(tiles)).items():
            measured[name].append(value)
        is_last = training.images_seen == end
        is_snapshot = is_last or _crosses(before, training.images_seen, s.snapshot_kimg)
        if not is_snapshot and not _crosses(before, training.images_seen, s.tick_kimg):
            continue
        row = {name: torch.stack(measured[name]).mean().item() if measured[name] else None for name in MEASURES}
        kimg = training.images_seen / 1000
        _refuse_divergence(row, kimg)
        seconds = time.monotonic() - started
        yield {"kimg": kimg, **row, "sec_per_kimg": seconds / (training.images_seen - since) * 1000}, is_snapshot
        measured.clear()
        since, started = training.images_seen, time.monotonic()


def _crosses(before: int, after: int, every_kimg: float) -> bool:
    every = every_kimg * 1000
    return after // every > before // every


def _refuse_divergence(row: dict[str, float | None], kimg: float) -> None:
    lost = [name for name, value in row.items() if value is not None and not math.isfinite(value)]
    if lost:
        raise TrainingError(
            f"The training diverged before {kimg:g} kimg: {', '.join(lost)} is no longer a number. Train with a lower "
            "learning_rate, or a gamma three to ten times larger."
        )
