"""An object of a store as a file to seek in, of which only what is read is fetched."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from components.core.errors import DataError, StoreError
from components.core.store.base import Status, Store

_TAIL_BYTES = 64 << 10  # of a zip's end, where its directory is


class RangedFile(io.RawIOBase):
    """Reads an object as it was when it was opened; one that becomes another meanwhile is an error.

    What `holding` fetched is read from memory. One thread reads at a time; `holding` is for any number of them.

    Attributes:
        uri: Where it lies.
        size_bytes: Its length.
        status: What the store said of it last.
        fetched_bytes: That came from the store.
    """

    def __init__(self, store: Store, name: str, size_bytes: int, sha256: str) -> None:
        """Asks for the object and its end.

        Args:
            store: Where it lies.
            name: Its name there.
            size_bytes: What it must have.
            sha256: That it must have been put with.

        Raises:
            StoreError: It is gone, or the store is away.
            DataError: It is another one.
        """
        super().__init__()
        self._lock = threading.Lock()
        self._store, self._name, self.uri = store, name, f"{store.uri}/{name}"
        self.size_bytes, self._sha256 = size_bytes, sha256
        self.status, self._at, self.fetched_bytes = self._looked_at(), 0, 0
        self._held: list[tuple[int, bytes]] = []
        start = max(0, size_bytes - _TAIL_BYTES)
        self._held.append((start, self._fetched(start, size_bytes)))

    @contextmanager
    def holding(self, start: int, stop: int, *, anew: bool = False) -> Iterator[None]:
        """Keeps these bytes in memory.

        Args:
            start: First byte.
            stop: After the last.
            anew: Fetch them though they are held.
        """
        if not anew and self._from_memory(start, stop) is not None:
            yield
            return
        block = (start, self._fetched(start, stop))
        with self._lock:
            self._held.insert(0, block)
        try:
            yield
        finally:
            with self._lock:
                self._held = [one for one in self._held if one is not block]

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer at the end."""
        stop = self.size_bytes if size < 0 else min(self._at + size, self.size_bytes)
        start, self._at = self._at, max(self._at, stop)
        if start >= stop:
            return b""
        known = self._from_memory(start, stop)
        return self._fetched(start, stop) if known is None else known

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a byte."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size_bytes}[whence]
        if self._at < 0:
            raise OSError(f"{self._at} is before the file's begin")
        return self._at

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def _from_memory(self, start: int, stop: int) -> bytes | None:
        for first, data in self._held:
            if first <= start and stop <= first + len(data):
                return data[start - first : stop - first]
        return None

    def _fetched(self, start: int, stop: int) -> bytes:
        data = None
        for _ in range(2):  # renewing an object gives it another version and the same bytes
            if (data := self._store.read_range(self._name, start, stop - start, self.status.version)) is not None:
                break
            self.status = self._looked_at()
        if data is None:
            raise DataError(f"{self.uri} is written anew while it is read: run the stage again when nobody writes it.")
        self.fetched_bytes += len(data)
        return data

    def _looked_at(self) -> Status:
        if (status := self._store.status(self._name)) is None:
            raise StoreError(
                f"{self.uri} is not there: correct the bucket where it is another, or run the stage again that made "
                "it, which puts it there."
            )
        if (status.size_bytes, status.sha256) != (self.size_bytes, self._sha256):
            raise DataError(
                f"{self.uri} is not what was put there ({status.size_bytes:,} bytes and not {self.size_bytes:,}, "
                f"sha256 {status.sha256[:12] or 'unknown'}): remove it, and run the stage that made it again."
            )
        return status
