"""Checkpoints: the newest states of a training, in a folder or a bucket, for the same command to go on from.

They lie under `uri`/scheme/fold/digest of the data. The configuration is not part of that path: it is written in each
checkpoint and compared, so that another one is refused by name instead of starting anew in a place beside it.
"""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from components.core.checkpoint.lease import EXPIRY_S, acquire_lease
from components.core.checkpoint.state_file import read_state, write_state
from components.core.checkpoint.upload_queue import UploadQueue
from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import digest
from components.core.runtime.progress import log
from components.core.store import Store, is_bucket, local_folder, open_store
from components.core.store.base import validate_name
from components.core.store.retry import wait_for_store
from components.gan_train.likeness import config_diff, runtime_fingerprint

UPLOAD_WAIT_S = 60.0
_RETRIES = 3  # of one request; a whole upload is tried again for as long as it takes
_NAME = re.compile(r"checkpoint-\d{12}\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """Where a training can go on.

    Attributes:
        state: As it was saved, tensors on the CPU.
        step: Images seen.
        path: The file; other processes of this machine can `read_state` it while the checkpoints are open.
    """

    state: dict[str, Any]
    step: int
    path: Path


def checkpoint_key(scheme: str, fold: str, data_digest: str) -> str:
    """Where a training's checkpoints lie below their base: `scheme/fold/digest`."""
    return validate_name(f"{scheme or 'none'}/{fold or 'none'}/{data_digest[:12]}")


class Checkpoints:
    """The checkpoints of one training, owned by this process until `close`.

    with Checkpoints(uri, checkpoint_key(scheme, fold, data_digest), config) as checkpoints:
        if found := checkpoints.latest():
            ...
        checkpoints.save(state, images_seen)

    Attributes:
        uri: Where they lie.
        write_s: What writing the last one took, seconds.
    """

    def __init__(
        self,
        uri: str,
        key: str,
        config: Mapping[str, Any],
        *,
        keep: int = 2,
        work: Path | None = None,
        device: torch.device | None = None,
        world_size: int = 1,
        expiry_s: float = EXPIRY_S,
    ) -> None:
        """Becomes the owner of the place.

        Args:
            uri: Base: a folder, `file:///folder` or `s3://bucket/prefix`.
            key: Below it, as `checkpoint_key` gives it.
            config: JSON values that must be the same for a training to go on.
            keep: How many checkpoints stay, at least 1; from 2 on a torn one costs one interval only.
            work: For buckets: folder for files on their way, from which a run on the same disk goes on; None = a
                temporary one.
            device: Where the training computes; None = CPU.
            world_size: Processes of the training, of which only one has `Checkpoints`.
            expiry_s: For buckets: how long a killed owner blocks the place.

        Raises:
            StoreError: Another run owns the place, or it cannot be used.
            ConfigError: An option cannot be meant.
        """
        if keep < 1:
            raise ConfigError(f"{keep} checkpoints cannot be kept: keep at least 1.")
        self._config, self._keep = json.loads(json.dumps(dict(config))), keep
        self._environment = runtime_fingerprint(device or torch.device("cpu"), world_size)
        self.uri = f"{uri.rstrip('/')}/{key}" if is_bucket(uri) else str(local_folder(uri) / key)
        self._bucket = open_store(self.uri, retries=_RETRIES) if is_bucket(uri) else None
        self._lease = acquire_lease(self.uri, expiry_s)
        self._errands = UploadQueue(self.uri) if self._bucket else None
        self._temporary = Path(tempfile.mkdtemp(prefix="thygan-")) if self._bucket and not work else None
        work = work or self._temporary
        self._folder = work / digest(self.uri)[:12] if self._bucket and work else Path(self.uri)
        self._disk, self._is_closed = open_store(self._folder), False
        self._safe, self.write_s = time.monotonic(), 0.0
        for unfinished in self._folder.glob(".*.part"):  # of an owner that was killed
            unfinished.unlink()

    def latest(self) -> Checkpoint | None:
        """The newest intact checkpoint, from this disk or the bucket; None where there is none.

        A torn one is named, and the one before is taken.

        Raises:
            ConfigError: It was written with another configuration.
            StoreError: The bucket cannot be read; one that is away is waited for.
        """
        return wait_for_store(self._latest)

    def _latest(self) -> Checkpoint | None:
        found = [(name, True) for name in _names(self._disk)]
        if self._bucket:
            found += [(name, False) for name in _names(self._bucket)]
        for name, is_here in sorted(found, reverse=True):  # the newest first, the disk before the bucket
            path = self._folder / name
            try:
                if self._bucket and not is_here:
                    self._bucket.get(name, path)
                saved = read_state(path)
            except DataError as error:
                log(f"{error} The checkpoint before it is taken.")
                continue
            self._compare(saved.meta)
            return Checkpoint(saved.state, saved.meta["step"], path)
        if found:
            log(f"{self.uri} holds no intact checkpoint: the training starts anew.")
        return None

    def save(self, state: Mapping[str, Any], step: int) -> Path:
        """Writes a checkpoint to this disk and, for a bucket, leaves its upload to a thread.

        Checkpoints of later steps, torn ones that `latest` passed over, are removed.

        Args:
            state: What `write_state` takes.
            step: Images seen.

        Returns:
            The file.

        Raises:
            StoreError: The disk refuses, or another run has taken the place over.
        """
        self._lease.check()
        began = time.monotonic()
        path = self._folder / f"checkpoint-{step:012d}.safetensors"
        write_state(path, state, {"step": step, "config": self._config, "environment": self._environment})
        _remove_others(self._disk, path.name, self._keep)
        if self._errands:
            self._errands.submit("checkpoint", lambda: self._upload(path))
        else:
            self._safe = began
        self.write_s = time.monotonic() - began
        return path

    def age_s(self) -> float:
        """Seconds since the state was taken that a killed training would go on from; without one, since the start."""
        return time.monotonic() - self._safe

    def check(self) -> None:
        """Raises StoreError where another run has taken the place over. Costs nothing."""
        self._lease.check()

    def close(self, wait_s: float = UPLOAD_WAIT_S) -> None:
        """Waits for the last upload, says if it did not succeed, and leaves the place to others."""
        if self._is_closed:
            return
        self._is_closed = True
        left = self._errands.close(wait_s) if self._errands else ""
        if left:
            log(f"The last checkpoint did not reach {self.uri} ({left}) It is in {self._folder}.")
        elif self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)
        self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _compare(self, meta: dict[str, Any]) -> None:
        if changed := config_diff(meta["config"], self._config):
            raise ConfigError(
                f"The checkpoint in {self.uri} was written with another configuration ({', '.join(changed)}): go on "
                "with the old one, or give another checkpoint folder to start anew."
            )
        if changed := config_diff(meta["environment"], self._environment):
            log(f"The training goes on at {meta['step']} images, but not bit-equal: {', '.join(changed)}.")

    def _upload(self, path: Path) -> None:
        if self._bucket and self._lease.confirm():  # where it is lost, `check` tells the training
            with suppress(FileNotFoundError):  # a newer one has taken its place
                taken = time.monotonic() - (time.time() - path.stat().st_mtime)
                self._bucket.put(path, path.name)
                self._safe = taken
                _remove_others(self._bucket, path.name, self._keep)


def _names(store: Store) -> list[str]:
    return [one.name for one in store.list() if _NAME.fullmatch(one.name)]


def _remove_others(store: Store, newest: str, keep: int) -> None:
    names = _names(store)
    kept = [name for name in names if name <= newest][-keep:]
    for name in names:
        if name not in kept:
            store.delete(name)
