"""When a training saves its state: every so many minutes, on SIGTERM, and at its end."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from components.core.checkpoint.checkpoint_store import CheckpointStore
from components.core.errors import TrainingError
from components.core.runtime.progress import log
from components.core.store.base import validate_name
from components.gan_train.distributed import ProcessGroup

CHECKPOINT = "checkpoint"  # name of the training in its store


def training_uri(base: str, scheme: str, fold: str, data_digest: str) -> str:
    """Folder or prefix of a training's checkpoints: `base/scheme/fold/digest`."""
    key = validate_name(f"{scheme or 'none'}/{fold or 'none'}/{data_digest[:12]}")
    return f"{base.rstrip('/')}/{key}"


class CheckpointScheduler:
    """Decides when to save, in all processes at once."""

    def __init__(
        self,
        group: ProcessGroup,
        store: CheckpointStore | None,
        minutes: float,
        state: Callable[[], dict[str, Any]],
        images_seen: int,
    ) -> None:
        """Starts to count the minutes.

        Args:
            group: Processes of the training.
            store: Checkpoints of the training; rank 0 alone has them.
            minutes: Time between checkpoints, at least 0.
            state: Function that returns the state to save; called in all processes.
            images_seen: Number of images at which the training starts or resumes.
        """
        self._group, self._store, self._interval_s, self._state = group, store, minutes * 60, state
        self._saved_s, self._saved_at = time.monotonic(), images_seen
        self._is_terminated = False

    @contextmanager
    def handle_sigterm(self) -> Iterator[None]:
        """Delays SIGTERM to the end of the iteration, inside the block."""
        if threading.current_thread() is not threading.main_thread():  # only the main thread can handle signals
            yield
            return
        before = signal.signal(signal.SIGTERM, self._terminate)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def after_iteration(self, images_seen: int) -> None:
        """Saves if a checkpoint is due, or after SIGTERM.

        Raises:
            TrainingError: SIGTERM was received; the state is saved.
            StoreError: The disk cannot be written, or another run has acquired the lease.
        """
        is_due = self._group.is_rank0 and time.monotonic() - self._saved_s >= self._interval_s
        is_terminated, is_due = self._group.any(self._is_terminated, is_due)
        if is_terminated or is_due:
            self.save(images_seen)
        if is_terminated:
            raise TrainingError(
                f"The training stopped on SIGTERM at {images_seen / 1000:g} kimg. Its state is saved"
                f"{f' in {self._store.uri}' if self._store else ''}: the same command resumes it."
            )

    def save(self, images_seen: int) -> None:
        """Saves now, unless this state is saved already. Every process calls it when the others do."""
        if images_seen != self._saved_at:
            state = self._state()
            if self._store:
                self._store.save(state, images_seen)
        self._saved_s, self._saved_at = time.monotonic(), images_seen

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if not self._is_terminated and self._group.is_rank0:
            log("SIGTERM: the training saves its state after this iteration and stops.")
        self._is_terminated = True
