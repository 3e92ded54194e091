"""The training from where it stands to its end, with what it measured averaged over ticks."""

import math
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from components.core.errors import TrainingError
from components.gan_train.dataset import InfiniteSampler, Tiles
from components.gan_train.random_inputs import IterationInputs
from components.gan_train.stats_collector import StatsCollector
from components.gan_train.trainer import GanTrainer

PHASES = ("g_main", "g_reg", "d_main", "d_reg")
MEASURES = ("loss_g", "loss_d", "r1_penalty", "path_length", "score_real", "score_fake", "sign_real")
MOST_LOST = 0.2  # of a phase's steps in a tick that may have had gradients that are no numbers
_GIB = 2**30

Row = dict[str, Any]


@dataclass(frozen=True)
class TickStats:
    """A tick.

    Attributes:
        row: Means of what was measured, with kimg, augment_p, lost_steps, sec_per_kimg and memory_gb; of each phase the
            steps whose gradients were no numbers, and the gradients' norm.
        is_snapshot: Whether one is due.
    """

    row: Row
    is_snapshot: bool


class TrainingLoop:
    """Goes through a training's iterations."""

    def __init__(self, training: GanTrainer, tiles: Tiles) -> None:
        s = training.settings
        self._training, self._tiles = training, tiles
        self._order = InfiniteSampler(tiles.labels, tiles.c_dim, s.symmetry, s.balanced, s.seed)
        self._meter = StatsCollector(training.team)
        self._since = training.images_seen
        self._earlier_s, self._started = 0.0, time.monotonic()
        self.end = math.ceil(s.kimg * 1000 / s.batch) * s.batch

    def iterations(self) -> Iterator[TickStats | None]:
        """Runs them; yields after each, a tick where one ends.

        Raises:
            TrainingError: A loss is no longer a number, or too many gradients are not.
        """
        s, training = self._training.settings, self._training
        self._started = time.monotonic()
        while training.images_seen < self.end:
            before = training.images_seen
            self._meter.add(training.step(self.draw()))
            is_last = training.images_seen == self.end
            is_snapshot = is_last or _crosses(before, training.images_seen, s.snapshot_kimg)
            if not is_snapshot and not _crosses(before, training.images_seen, s.tick_kimg):
                yield None
                continue
            row = self._row()
            self._since, self._earlier_s, self._started = training.images_seen, 0.0, time.monotonic()
            yield TickStats(row, is_snapshot)
            self._started = time.monotonic()  # snapshots and grids are no part of the pace

    def draw(self) -> IterationInputs:
        """What is random in the next iteration."""
        return self._training.draw(self._tiles, self._order)

    def state_dict(self) -> dict[str, Any]:
        """Where the tick stands. Every process calls it when the others do."""
        return {"meter": self._meter.state_dict(), "since": self._since, "seconds": self._seconds()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on inside a tick."""
        self._meter.load_state_dict(state["meter"], self._training.device)
        self._since, self._earlier_s = state["since"], state["seconds"]

    def _seconds(self) -> float:
        return self._earlier_s + time.monotonic() - self._started

    def _row(self) -> Row:
        training = self._training
        steps = self._meter.counts()
        means = self._meter.take()
        kimg = training.images_seen / 1000
        lost = {phase: means.get(f"lost_{phase}", 0.0) for phase in PHASES}
        row = {name: means.get(name) for name in MEASURES}
        _refuse_divergence(row, lost, kimg)
        return {
            "kimg": kimg,
            **row,
            "augment_p": training.ada.p,
            "lost_steps": max(lost.values()),
            **{f"lost_{phase}": round(share * steps.get(f"lost_{phase}", 0)) for phase, share in lost.items()},
            **{f"norm_{phase}": means.get(f"norm_{phase}") for phase in PHASES},
            "sec_per_kimg": self._seconds() / (training.images_seen - self._since) * 1000,
            "memory_gb": memory_gb(training.device),
        }


def memory_gb(device: torch.device) -> float:
    """The most that this process has held so far: of the GPU's memory, on a CPU of the machine's; in GiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _GIB


def _crosses(before: int, after: int, every_kimg: float) -> bool:
    every = every_kimg * 1000
    return after // every > before // every


def _refuse_divergence(row: Row, lost: dict[str, float], kimg: float) -> None:
    gone = [name for name, value in row.items() if value is not None and not math.isfinite(value)]
    advice = "Train with a lower learning_rate, or a gamma three to ten times larger."
    if gone:
        raise TrainingError(
            f"The training diverged before {kimg:g} kimg: {', '.join(gone)} is no longer a number. {advice}"
        )
    if torn := [f"{phase} {share:.0%}" for phase, share in lost.items() if share > MOST_LOST]:
        raise TrainingError(
            f"The training diverged before {kimg:g} kimg: gradients were no numbers in many steps ({', '.join(torn)}). "
            f"{advice}"
        )
