"""A training that outlives its process: saved every so many minutes and when it is told to end."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from components.core.errors import TrainingError
from components.core.runtime.progress import log
from components.gan_train.checkpoint import Checkpoints
from components.gan_train.distributed import ProcessGroup


class CheckpointScheduler:
    """Decides when to save, in all processes at once."""

    def __init__(
        self,
        team: ProcessGroup,
        checkpoints: Checkpoints | None,
        minutes: float,
        state: Callable[[], dict[str, Any]],
        images_seen: int,
    ) -> None:
        """Begins to count the minutes.

        Args:
            team: The training's processes.
            checkpoints: Where to; only the leader has them.
            minutes: Between checkpoints.
            state: What is saved; called in all processes.
            images_seen: Where the training begins, or goes on.
        """
        self._team, self._checkpoints, self._interval_s, self._state = team, checkpoints, minutes * 60, state
        self._saved_s, self._saved_at = time.monotonic(), images_seen
        self._is_ending = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Has SIGTERM wait for the iteration's end, inside the block."""
        if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
            yield
            return
        before = signal.signal(signal.SIGTERM, self._end)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def after_iteration(self, images_seen: int) -> None:
        """Saves where it is time.

        Raises:
            TrainingError: SIGTERM came; the state is saved.
            StoreError: The disk refuses, or another run has taken the place over.
        """
        is_due = self._team.is_leader and time.monotonic() - self._saved_s >= self._interval_s
        is_ending, is_due = self._team.any(self._is_ending, is_due)
        if is_ending or is_due:
            self.save(images_seen)
        if is_ending:
            raise TrainingError(
                f"The training was told to end at {images_seen / 1000:g} kimg. Its state is saved"
                f"{f' in {self._checkpoints.uri}' if self._checkpoints else ''}: the same command goes on from there."
            )

    def save(self, images_seen: int) -> None:
        """Saves now, what is not saved yet. Every process calls it when the others do."""
        if images_seen != self._saved_at:
            state = self._state()
            if self._checkpoints:
                self._checkpoints.save(state, images_seen)
        self._saved_s, self._saved_at = time.monotonic(), images_seen

    def _end(self, number: int, frame: FrameType | None) -> None:
        if not self._is_ending and self._team.is_leader:
            log("Told to end: saving after this iteration.")
        self._is_ending = True
