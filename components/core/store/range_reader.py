"""An object of a store as a seekable file that fetches the ranges it reads."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from components.core.errors import DataError, StoreError
from components.core.store.base import Status, Store

_TAIL_BYTES = 64 << 10  # of a zip's end, where its directory is


class RangedFile(io.RawIOBase):
    """Reads one version of an object; a change of its content while it is read is an error.

    Ranges inside a `hold` are read from memory. `read` is for one thread at a time, `hold` for any number of threads.

    Attributes:
        uri: Address of the object.
        size_bytes: Length, bytes.
        status: Newest metadata from the store.
        fetched_bytes: Bytes fetched from the store so far.
    """

    def __init__(self, store: Store, name: str, size_bytes: int, sha256: str) -> None:
        """Requests the metadata of the object and its last bytes.

        Args:
            store: Store of the object.
            name: Name of the object.
            size_bytes: Length that it must have, bytes.
            sha256: sha256 (hex) that it must have been uploaded with.

        Raises:
            StoreError: The object is missing, or the store cannot be reached.
            DataError: The length or the sha256 differs.
        """
        super().__init__()
        self._lock = threading.Lock()
        self._store, self._name, self.uri = store, name, f"{store.uri}/{name}"
        self.size_bytes, self._sha256 = size_bytes, sha256
        self.status, self._at, self.fetched_bytes = self._check_status(), 0, 0
        self._held: list[tuple[int, bytes]] = []
        start = max(0, size_bytes - _TAIL_BYTES)
        self._held.append((start, self._fetch(start, size_bytes)))

    @contextmanager
    def hold(self, start: int, stop: int, *, refetch: bool = False) -> Iterator[None]:
        """Keeps a range in memory inside the block.

        Args:
            start: First byte.
            stop: Byte after the last.
            refetch: Whether to fetch the range even if it is in memory.
        """
        if not refetch and self._from_memory(start, stop) is not None:
            yield
            return
        block = (start, self._fetch(start, stop))
        with self._lock:
            self._held.insert(0, block)
        try:
            yield
        finally:
            with self._lock:
                self._held = [other for other in self._held if other is not block]

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer at the end."""
        stop = self.size_bytes if size < 0 else min(self._at + size, self.size_bytes)
        start, self._at = self._at, max(self._at, stop)
        if start >= stop:
            return b""
        known = self._from_memory(start, stop)
        return self._fetch(start, stop) if known is None else known

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a byte; returns its position."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size_bytes}[whence]
        if self._at < 0:
            raise OSError(f"{self._at} is before the start of the file")
        return self._at

    def tell(self) -> int:
        """Position of the next byte."""
        return self._at

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def _from_memory(self, start: int, stop: int) -> bytes | None:
        for first, data in self._held:
            if first <= start and stop <= first + len(data):
                return data[start - first : stop - first]
        return None

    def _fetch(self, start: int, stop: int) -> bytes:
        data = None
        for _ in range(2):  # a renewed object has another version and the same bytes
            if (data := self._store.read_range(self._name, start, stop - start, self.status.version)) is not None:
                break
            self.status = self._check_status()
        if data is None:
            raise DataError(
                f"{self.uri} was overwritten while it was read: run the stage again when no other run writes it."
            )
        self.fetched_bytes += len(data)
        return data

    def _check_status(self) -> Status:
        if (status := self._store.status(self._name)) is None:
            raise StoreError(
                f"{self.uri} does not exist: correct the bucket if it is another, or run the stage that writes the "
                "object again."
            )
        if (status.size_bytes, status.sha256) != (self.size_bytes, self._sha256):
            raise DataError(
                f"{self.uri} is not the object that was uploaded ({status.size_bytes:,} bytes, not "
                f"{self.size_bytes:,}; sha256 {status.sha256[:12] or 'unknown'}): remove it, and run the stage that "
                "writes it again."
            )
        return status
