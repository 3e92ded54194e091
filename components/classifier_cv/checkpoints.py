"""Checkpoints of a task's trainings, from which the same command resumes after it was killed.

A checkpoint is a convenience: where a store fails meanwhile, that is logged and the training continues without.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import torch

from components.core.checkpoint.checkpoint_store import CheckpointStore, remove_checkpoints
from components.core.checkpoint.fingerprint import runtime_fingerprint
from components.core.checkpoint.lease import hold_lease
from components.core.errors import ConfigError, StoreError
from components.core.io.atomic_files import digest
from components.core.runtime.progress import log
from components.core.store import open_store
from components.core.store.base import validate_name
from components.core.store.retry import wait_for_store

TrainingState = dict[str, Any]
_CPU = torch.device("cpu")
_OLD_FORM = re.compile(r"[0-9a-f]{12}/[^/]+-seed\d+\.safetensors")  # of versions whose files had no epoch in the name


@dataclass(frozen=True)
class CheckpointFolder:
    """Folder or bucket prefix of one task's checkpoints; it is handed to every process that trains.

    Attributes:
        uri: The task's own folder or `s3://bucket/prefix`; '' = no checkpoints.
        minutes: Minutes between two checkpoints of one training; the last epoch has one in any case.
        config: JSON values that every training of the task depends on.
    """

    uri: str = ""
    minutes: float = 10.0
    config: dict[str, Any] = field(default_factory=dict)


class TrainingCheckpoints:
    """The checkpoints of one training; none where the folder has no address.

    with TrainingCheckpoints(folder, "bi100-seed1", device) as checkpoints:
        state = checkpoints.latest()
        checkpoints.save_if_due(lambda: training_state, epoch=7, is_last=False)
    """

    def __init__(
        self,
        folder: CheckpointFolder = CheckpointFolder(),
        name: str = "",
        device: torch.device = _CPU,
    ) -> None:
        """Opens the checkpoints of a training.

        Args:
            folder: Folder of the task, whose lease this process or its parent holds.
            name: Name of the training.
            device: Device of the training.
        """
        self._store, self._minutes, self._last_s = None, folder.minutes, time.monotonic()
        if folder.uri:
            try:
                self._store = CheckpointStore(
                    folder.uri,
                    name,
                    config=folder.config,
                    fingerprint=runtime_fingerprint(device),
                    unit="epochs",
                    keep=1,
                    is_owner=False,
                )
            except StoreError as error:
                log(f"{error} This training has no checkpoints.", "warning")

    def latest(self) -> TrainingState | None:
        """The training's last state; None where there is none, a torn one, or a store that does not answer."""
        if self._store is None:
            return None
        try:
            checkpoint = self._store.latest()
        except StoreError as error:
            log(f"{error} This training starts from the beginning.", "warning")
            return None
        return checkpoint.state if checkpoint else None

    def save_if_due(self, state: Callable[[], TrainingState], epoch: int, is_last: bool) -> None:
        """Saves the state where the interval has passed, and after the last epoch.

        Args:
            state: Returns the state.
            epoch: Number of epochs trained.
            is_last: Whether the training ends here.
        """
        if is_last or time.monotonic() - self._last_s >= 60 * self._minutes:
            self.save(state(), epoch)
            self._last_s = time.monotonic()

    def save(self, state: TrainingState, epoch: int) -> None:
        """Saves the state after an epoch in place of the one before, if the store accepts it."""
        if self._store is None:
            return
        try:
            self._store.save(state, epoch)
        except StoreError as error:
            log(f"{error} The training continues; if it is killed, it resumes from an earlier checkpoint.", "warning")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._store:
            self._store.close()


@contextmanager
def checkpoint_folder(
    uri: str, minutes: float, scheme: str, fold: str, config: dict[str, Any]
) -> Iterator[CheckpointFolder]:
    """The task's checkpoint folder below `uri`, leased until the end of the block; emptied where that is reached.

    Args:
        uri: A folder or `s3://bucket/prefix`; '' = no checkpoints.
        minutes: Minutes between two checkpoints of one training, at least 0.
        scheme: Label scheme of the task.
        fold: Fold of the task.
        config: JSON values that a training depends on; a task with others has a folder of its own.

    Raises:
        StoreError: Another run holds the lease, or the folder cannot be used.
        ConfigError: The folder has checkpoints of an earlier version.
    """
    if not uri:
        yield CheckpointFolder()
        return
    fold_uri = f"{uri.rstrip('/')}/{validate_name(f'classifier_cv/{scheme}/{fold}')}"
    _refuse_old_checkpoints(fold_uri)
    task_uri = f"{fold_uri}/{digest(config)[:12]}"
    with hold_lease(task_uri):
        yield CheckpointFolder(task_uri, minutes, config)
        try:
            remove_checkpoints(task_uri)
        except StoreError as error:
            log(f"{error} Checkpoints of a finished task remain there.", "warning")


def _refuse_old_checkpoints(fold_uri: str) -> None:
    entries = wait_for_store(lambda: open_store(fold_uri).list())
    if old := [entry.name for entry in entries if _OLD_FORM.fullmatch(entry.name)]:
        raise ConfigError(
            f"{fold_uri} has checkpoints of an earlier version ({old[0]}), which cannot be resumed: remove them, or "
            "give another checkpoint folder."
        )
