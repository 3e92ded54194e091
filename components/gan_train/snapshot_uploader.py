"""Copies of a training's files, out of which one that was killed fills a new folder."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from components.core.checkpoint.upload_queue import UploadQueue
from components.core.errors import DataError, StoreError
from components.core.runtime.progress import log
from components.core.store import is_bucket, open_store

_LAST_UPLOADS_S = 20.0


class SnapshotUploader:
    """Copies of files in a store; to a bucket they go behind the training's back."""

    def __init__(self, uri: str) -> None:
        self._store = open_store(uri)
        self._errands = UploadQueue(uri) if is_bucket(uri) else None
        self._waiting: dict[str, Path] = {}

    def put(self, path: Path) -> None:
        """Copies a file under its own name."""
        if self._errands is None:
            self._store.put(path, path.name)
            return
        self._waiting[path.name] = path
        self._errands.submit(path.name, lambda: self._upload(path))

    def waiting(self) -> dict[str, Tensor]:
        """Bytes of the files that have not arrived yet: they travel in the checkpoint."""
        found = {}
        for name, path in list(self._waiting.items()):
            found[name] = torch.from_numpy(np.fromfile(path, dtype=np.uint8))
        return found

    def get(self, name: str, path: Path) -> bool:
        """Brings a copy to a file; says where there is none."""
        try:
            self._store.get(name, path)
        except (StoreError, DataError) as error:
            log(f"{error} The training goes on without it.")
            return False
        return True

    def remove(self, name: str) -> None:
        """Removes a copy."""
        self._waiting.pop(name, None)
        if self._errands is None:
            self._store.delete(name)
        else:
            self._errands.submit(name, lambda: self._store.delete(name))

    def close(self) -> None:
        """Waits for the last copies, within reason."""
        if self._errands and (left := self._errands.close(_LAST_UPLOADS_S)):
            log(f"Not all snapshots reached their store ({left}) Those of a finished training are in its folder.")

    def _upload(self, path: Path) -> None:
        with suppress(FileNotFoundError):  # removed meanwhile
            self._store.put(path, path.name)
        self._waiting.pop(path.name, None)
