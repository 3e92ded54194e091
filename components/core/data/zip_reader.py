"""Reading the entries of a zip, each with its checks; a zip in a bucket is read by ranges."""

import hashlib
import threading
import zipfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TypeVar

from components.core.data.archive_reference import open_remote, read_reference
from components.core.data.content_hash import entries_hash, is_image
from components.core.data.zip_safety import DAMAGED, ENCRYPTED, zip_bomb_reason
from components.core.errors import DataError, one_line
from components.core.runtime.prefetch import prefetch_map

MAX_ENTRY_BYTES = 2**30
_MAX_HEADER_BYTES = 30 + 2 * 0xFFFF
# Of a remote zip: bytes per request, largest gap that a request may span, concurrent requests
_BLOCK_BYTES, _GAP_BYTES, _FETCHERS = 8 << 20, 256 << 10, 4
Result = TypeVar("Result")


class ZipReader:
    """Reads entries by name.

    Attributes:
        where: Path or address of the zip, for messages.
        is_remote: Whether the zip is in a bucket.

    Raises:
        DataError: The zip is missing, damaged, or lacks the required entry.
        StoreError: The store of a remote zip cannot be reached or denies access.
    """

    def __init__(self, path: Path, required_entry: str) -> None:
        self._lock = threading.Lock()
        self._sha256: Mapping[str, str] = {}
        reference = read_reference(path)
        self._remote = open_remote(reference) if reference else None
        self._content = reference.content if reference else ""
        self.is_remote = reference is not None
        self.where = reference.archive if reference else str(path)
        try:
            self._zip = zipfile.ZipFile(self._remote or path)
            self._zip.getinfo(required_entry)
        except FileNotFoundError:
            raise DataError(f"There is no archive {path}.") from None
        except KeyError:
            raise DataError(
                f"{self.where} is not an image archive (no {required_entry}): write it again with the tile stage."
            ) from None
        except (OSError, *DAMAGED) as error:
            raise DataError(
                f"{self.where} is not an image archive ({one_line(error)}): write it again with the tile stage."
            ) from None
        self._bytes = self._remote.size_bytes if self._remote else path.stat().st_size

    def __contains__(self, file: str) -> bool:
        return file in self._zip.NameToInfo

    def expect(self, sha256: Mapping[str, str]) -> None:
        """Sets the sha256 (hex) by name that entries are verified against from now on."""
        self._sha256 = sha256

    def read_bytes(self, file: str) -> bytes:
        """The bytes of one entry.

        Raises:
            DataError: The entry is missing, damaged, encrypted or larger than 1 GiB.
            StoreError: The store of a remote zip cannot be reached or denies access.
        """
        entry = self._entry(file)
        if self._remote is None:
            return self._unzip(entry)
        span = self._span(entry)
        with suppress(DataError), self._remote.hold(*span):
            return self._unzip(entry)
        with self._remote.hold(*span, refetch=True):  # the bytes may have been damaged in transit
            return self._unzip(entry)

    def map_entries(self, function: Callable[[str, bytes], Result], files: Iterable[str]) -> Iterator[Result]:
        """`function(name, bytes)` of some entries, in order; computed on all cores, a few ahead.

        Neighbouring entries of a remote zip are fetched in large blocks, a few blocks ahead.
        """
        if self._remote is None:
            return prefetch_map(lambda file: function(file, self.read_bytes(file)), files)
        blocks = prefetch_map(self._read_block, self._blocks(files), _FETCHERS)
        return prefetch_map(lambda one: function(*one), chain.from_iterable(blocks))

    def read_verified(self) -> dict[str, bytes]:
        """The bytes of all entries but images of a remote zip, verified against the content hash of its reference."""
        names = sorted(self._zip.NameToInfo, key=lambda name: self._zip.NameToInfo[name].header_offset)
        small = [name for name in names if not is_image(name)]
        data = {name: value for block in self._blocks(small) for name, value in self._read_block(block)}
        if entries_hash(self._zip.infolist(), data.__getitem__) != self._content:
            raise DataError(
                f"{self.where} differs from the content hash in its reference: run the stage that writes both again."
            )
        return data

    def close(self) -> None:
        """Closes the zip."""
        self._zip.close()
        if self._remote:
            self._remote.close()

    def _entry(self, file: str) -> zipfile.ZipInfo:
        try:
            entry = self._zip.getinfo(file)
        except KeyError:
            raise DataError(f"{self.where} lacks the entry {file!r}: run the stage that writes it again.") from None
        if entry.file_size > MAX_ENTRY_BYTES:
            raise DataError(
                f"{file!r} in {self.where} claims {entry.file_size:,} bytes, above the limit of {MAX_ENTRY_BYTES:,}: "
                "replace the archive by an intact copy."
            )
        if reason := zip_bomb_reason(entry, self._bytes):
            raise DataError(f"{file!r} in {self.where} {reason}: replace the archive by an intact copy.")
        if entry.flag_bits & ENCRYPTED:
            raise DataError(f"{file!r} in {self.where} is encrypted: write the archive without a password.")
        return entry

    def _unzip(self, entry: zipfile.ZipInfo) -> bytes:
        try:
            with self._lock:  # ZipFile counts its readers without a lock
                data = self._zip.read(entry)
            expected = self._sha256.get(entry.filename)
            if expected and hashlib.sha256(data).hexdigest() != expected:
                raise zipfile.BadZipFile("its sha256 differs from the manifest")
        except (OSError, *DAMAGED) as error:
            raise DataError(
                f"{entry.filename!r} in {self.where} is damaged ({one_line(error)}): replace it by an intact copy."
            ) from None
        return data

    def _blocks(self, files: Iterable[str]) -> Iterator[list[str]]:
        """The names in order, in blocks of neighbours of at most `_BLOCK_BYTES`, or of one larger entry."""
        block: list[str] = []
        first = last = 0
        for file in files:
            start, stop = self._span(self._entry(file))
            is_near = first <= start <= last + _GAP_BYTES and max(last, stop) - first <= _BLOCK_BYTES
            if block and not is_near:
                yield block
                block = []
            first, last = (first, max(last, stop)) if block else (start, stop)
            block.append(file)
        if block:
            yield block

    def _read_block(self, files: list[str]) -> list[tuple[str, bytes]]:
        spans = [self._span(self._zip.getinfo(file)) for file in files]
        assert self._remote
        with self._remote.hold(min(start for start, _ in spans), max(stop for _, stop in spans)):
            return [(file, self.read_bytes(file)) for file in files]

    @cached_property
    def _starts(self) -> list[int]:
        return [*sorted(entry.header_offset for entry in self._zip.infolist()), self._zip.start_dir]

    def _span(self, entry: zipfile.ZipInfo) -> tuple[int, int]:
        """First byte of an entry with its header, and the byte after its last."""
        start = entry.header_offset
        most = start + entry.compress_size + _MAX_HEADER_BYTES
        index = bisect_right(self._starts, start)
        return start, min(most, self._bytes, self._starts[index] if index < len(self._starts) else most)
