"""Checkpoints of one training: its newest states in a folder or a bucket, from which the same command resumes.

The files are `NAME-STEP.safetensors`. The configuration is not part of that name: it is written in each checkpoint and
compared, so that a training with other options is refused and does not start beside the old one.
"""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from components.core.checkpoint.fingerprint import config_diff
from components.core.checkpoint.lease import EXPIRY_S, Lease, acquire_lease
from components.core.checkpoint.state_file import read_state, write_state
from components.core.checkpoint.upload_queue import UploadQueue
from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import digest
from components.core.runtime.progress import log
from components.core.store import Store, is_bucket, local_folder, open_store
from components.core.store.base import validate_name
from components.core.store.retry import wait_for_store

UPLOAD_WAIT_S = 60.0
_RETRIES = 3  # of one request; a whole upload is repeated for as long as it takes
_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A saved state of a training.

    Attributes:
        state: The state as it was saved, tensors on the CPU.
        step: Position in the training, in units of the training's choice (images, epochs).
        path: The file; other processes of this machine can `read_state` it while the store is open.
    """

    state: dict[str, Any]
    step: int
    path: Path


class CheckpointStore:
    """The checkpoints of one training.

    with CheckpointStore(f"{uri}/binary/0", "checkpoint", config={"batch": 32}) as store:
        if checkpoint := store.latest():
            training.load_state_dict(checkpoint.state)
        store.save(training.state_dict(), step=images_seen)

    Several trainings share a folder under different names. Processes that train under one lease open their stores with
    `is_owner=False`, while their parent holds `hold_lease(uri)`.

    Attributes:
        uri: Folder or bucket prefix of the checkpoints.
        write_s: Duration of the last `save`, seconds.
    """

    def __init__(
        self,
        uri: str,
        name: str,
        *,
        config: Mapping[str, Any],
        fingerprint: Mapping[str, Any] | None = None,
        upgrade: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
        unit: str = "images",
        keep: int = 2,
        work: Path | None = None,
        is_owner: bool = True,
        expiry_s: float = EXPIRY_S,
    ) -> None:
        """Opens the store, and acquires the lease of `uri` unless another process of this run holds it.

        Args:
            uri: A folder, `file:///folder` or `s3://bucket/prefix`, the training's own or its task's.
            name: Name of the training below `uri`, without slashes.
            config: JSON values that must be equal for a training to resume.
            fingerprint: JSON values without which it resumes, but not bit-equal, as `runtime_fingerprint` returns them.
            upgrade: Function that brings the configuration in an old checkpoint to today's form.
            unit: Unit of a step, for messages.
            keep: Number of checkpoints that stay, at least 1; from 2 on a torn one costs one interval only.
            work: Folder for a bucket's files before their upload, from which a run on the same disk resumes; None = a
                temporary folder.
            is_owner: False where another process of this run holds the lease of `uri`.
            expiry_s: Time for which a killed owner blocks a bucket prefix, seconds.

        Raises:
            StoreError: Another run holds the lease, or `uri` cannot be used.
            ConfigError: An argument is out of range.
        """
        if keep < 1:
            raise ConfigError(f"keep is {keep}: at least 1 checkpoint must stay.")
        if "/" in validate_name(name):
            raise ConfigError(f"{name!r} cannot be the name of a training: give one without slashes.")
        self._config, self._keep, self._unit = json.loads(json.dumps(dict(config))), keep, unit
        self._fingerprint, self._upgrade = dict(fingerprint or {}), upgrade
        self._name, self._file = name, re.compile(rf"{re.escape(name)}-\d{{12}}{re.escape(_SUFFIX)}")
        self.uri = uri.rstrip("/") if is_bucket(uri) else str(local_folder(uri))
        self._bucket = open_store(self.uri, retries=_RETRIES) if is_bucket(uri) else None
        self._lease: Lease | None = acquire_lease(self.uri, expiry_s) if is_owner else None
        self._uploads = UploadQueue(self.uri) if self._bucket else None
        self._temporary = Path(tempfile.mkdtemp(prefix="thygan-")) if self._bucket and not work else None
        work = work or self._temporary
        self._folder = work / digest(self.uri)[:12] if self._bucket and work else Path(self.uri)
        self._disk, self._is_closed = open_store(self._folder), False
        self._safe_s, self.write_s = time.monotonic(), 0.0
        for partial in self._folder.glob(f".{escape(name)}-{'[0-9]' * 12}{_SUFFIX}.*.part"):  # of a killed owner
            partial.unlink()

    def latest(self) -> Checkpoint | None:
        """The newest intact checkpoint, from this disk or the bucket; None where there is none.

        A torn one is named, and the one before it is taken.

        Raises:
            ConfigError: It was written with another configuration.
            StoreError: The bucket cannot be read; one that does not answer is waited for.
        """
        return wait_for_store(self._latest)

    def _latest(self) -> Checkpoint | None:
        candidates = [(name, True) for name in self._names(self._disk)]
        if self._bucket:
            candidates += [(name, False) for name in self._names(self._bucket)]
        for name, is_local in sorted(candidates, reverse=True):  # the newest first, the disk before the bucket
            path = self._folder / name
            try:
                if self._bucket and not is_local:
                    self._bucket.get(name, path)
                saved = read_state(path)
            except DataError as error:
                log(f"{error} The checkpoint before it is used instead.")
                continue
            self._compare(saved.meta)
            return Checkpoint(saved.state, saved.meta["step"], path)
        if candidates:
            log(f"{self.uri} holds no intact checkpoint: the training starts from the beginning.")
        return None

    def save(self, state: Mapping[str, Any], step: int) -> Path:
        """Writes a checkpoint to this disk; its upload to a bucket continues in a thread.

        Checkpoints of later steps, torn ones that `latest` skipped, are removed.

        Args:
            state: Nested dicts, lists and tuples of tensors, numbers and strings, as `write_state` takes them.
            step: Position in the training, at least 0.

        Returns:
            The file.

        Raises:
            StoreError: The disk cannot be written, or another run has acquired the lease.
        """
        self.check()
        start_s = time.monotonic()
        path = self._folder / f"{self._name}-{step:012d}{_SUFFIX}"
        write_state(path, state, {"step": step, "config": self._config, "environment": self._fingerprint})
        self._remove_others(self._disk, path.name)
        if self._uploads:
            self._uploads.submit(self._name, lambda: self._upload(path))
        else:
            self._safe_s = start_s
        self.write_s = time.monotonic() - start_s
        return path

    def age_s(self) -> float:
        """Age of the state from which a killed training would resume, seconds; without one, time since the start."""
        return time.monotonic() - self._safe_s

    def check(self) -> None:
        """Raises StoreError where another run has acquired the lease. Costs nothing."""
        if self._lease:
            self._lease.check()

    def close(self, wait_s: float = UPLOAD_WAIT_S) -> None:
        """Waits for the last upload, logs its failure, and releases the lease.

        Args:
            wait_s: Longest wait, seconds.
        """
        if self._is_closed:
            return
        self._is_closed = True
        failure = self._uploads.close(wait_s) if self._uploads else ""
        if failure:
            log(f"The last checkpoint did not reach {self.uri} ({failure}) It is in {self._folder}.")
        elif self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)
        if self._lease:
            self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _compare(self, meta: dict[str, Any]) -> None:
        if changes := config_diff(self._upgrade(meta["config"]), self._config):
            raise ConfigError(
                f"The checkpoint in {self.uri} was written with another configuration ({', '.join(changes)}): resume "
                "with the old one, or give another checkpoint folder to start from the beginning."
            )
        if changes := config_diff(meta["environment"], self._fingerprint):
            log(f"The training resumes at {meta['step']} {self._unit}, but not bit-equal: {', '.join(changes)}.")

    def _upload(self, path: Path) -> None:
        if self._bucket and (not self._lease or self._lease.confirm()):  # where it is lost, `check` ends the training
            with suppress(FileNotFoundError):  # a newer one has replaced it
                taken_s = time.monotonic() - (time.time() - path.stat().st_mtime)
                self._bucket.put(path, path.name)
                self._safe_s = taken_s
                self._remove_others(self._bucket, path.name)

    def _names(self, store: Store) -> list[str]:
        return [entry.name for entry in store.list() if self._file.fullmatch(entry.name)]

    def _remove_others(self, store: Store, newest: str) -> None:
        names = self._names(store)
        remaining = [name for name in names if name <= newest][-self._keep :]
        for name in names:
            if name not in remaining:
                store.delete(name)


def remove_checkpoints(uri: str) -> None:
    """Removes the checkpoints of every training in a folder or below a bucket prefix; for a task that is finished.

    Raises:
        StoreError: The store cannot be read or written.
    """
    store = open_store(uri)
    for entry in store.list():
        if re.search(rf"-\d{{12}}{re.escape(_SUFFIX)}$", entry.name):
            store.delete(entry.name)
