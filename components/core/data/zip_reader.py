"""The entries of an archive's zip, each checked when it is read; of one that lies in a bucket, by ranges."""

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

LARGEST_ENTRY_BYTES = 2**30
_LARGEST_HEADER_BYTES = 30 + 2 * 0xFFFF
# Of an archive in a bucket: one request fetches so much, over gaps of at most so much, and so many are under way
_BLOCK_BYTES, _GAP_BYTES, _FETCHERS = 8 << 20, 256 << 10, 4
Made = TypeVar("Made")


class ZipReader:
    """Reads entries by name.

    Attributes:
        where: What messages call the zip: its path or, behind a reference, its address.
        is_remote: Whether a reference led to it.

    Raises:
        DataError: There is no zip, none with the entry that it must have, or it is damaged.
        StoreError: It lies in a store that is away or refuses.
    """

    def __init__(self, path: Path, must_have: str) -> None:
        self._lock = threading.Lock()
        self._sha256: Mapping[str, str] = {}
        reference = read_reference(path)
        self._remote = open_remote(reference) if reference else None
        self._content = reference.content if reference else ""
        self.is_remote = reference is not None
        self.where = reference.archive if reference else str(path)
        try:
            self._zip = zipfile.ZipFile(self._remote or path)
            self._zip.getinfo(must_have)
        except FileNotFoundError:
            raise DataError(f"There is no archive {path}.") from None
        except KeyError:
            raise DataError(
                f"{self.where} is no image archive (it has no {must_have}): make it again with the tile stage."
            ) from None
        except (OSError, *DAMAGED) as error:
            raise DataError(
                f"{self.where} is no image archive ({one_line(error)}): make it again with the tile stage."
            ) from None
        self._bytes = self._remote.size_bytes if self._remote else path.stat().st_size

    def __contains__(self, file: str) -> bool:
        return file in self._zip.NameToInfo

    def expect(self, sha256: Mapping[str, str]) -> None:
        """From now on an entry must have the sha256 that stands here under its name."""
        self._sha256 = sha256

    def read_bytes(self, file: str) -> bytes:
        """The bytes of one entry.

        Raises:
            DataError: There is no such entry, or it is damaged, encrypted or larger than any that we write.
            StoreError: The store that it lies in is away or refuses.
        """
        entry = self._entry(file)
        if self._remote is None:
            return self._unzipped(entry)
        span = self._span(entry)
        with suppress(DataError), self._remote.holding(*span):
            return self._unzipped(entry)
        with self._remote.holding(*span, anew=True):  # bytes may have been damaged on their way
            return self._unzipped(entry)

    def map_entries(self, function: Callable[[str, bytes], Made], files: Iterable[str]) -> Iterator[Made]:
        """`function(file, bytes)` of the named entries, in order; ahead on all cores, a few at a time.

        Behind a reference neighbouring entries come in large blocks, some of them ahead, too.
        """
        if self._remote is None:
            return prefetch_map(lambda file: function(file, self.read_bytes(file)), files)
        blocks = prefetch_map(self._read_block, self._blocks(files), _FETCHERS)
        return prefetch_map(lambda one: function(*one), chain.from_iterable(blocks))

    def verified(self) -> dict[str, bytes]:
        """All entries that are no images, of what a reference led to, when the content proves to be the reference's."""
        names = sorted(self._zip.NameToInfo, key=lambda name: self._zip.NameToInfo[name].header_offset)
        small = [name for name in names if not is_image(name)]
        data = {name: value for block in self._blocks(small) for name, value in self._read_block(block)}
        if entries_hash(self._zip.infolist(), data.__getitem__) != self._content:
            raise DataError(
                f"{self.where} does not hold what its reference says: make both again with the stage that wrote them."
            )
        return data

    def close(self) -> None:
        """Closes the file."""
        self._zip.close()
        if self._remote:
            self._remote.close()

    def _entry(self, file: str) -> zipfile.ZipInfo:
        try:
            entry = self._zip.getinfo(file)
        except KeyError:
            raise DataError(
                f"{self.where} lacks the entry {file!r}: make it again with the stage that writes it."
            ) from None
        if entry.file_size > LARGEST_ENTRY_BYTES:
            raise DataError(
                f"{file!r} in {self.where} claims {entry.file_size:,} bytes, more than the {LARGEST_ENTRY_BYTES:,} "
                "that are read: it is none of ours, get a sound copy."
            )
        if why := zip_bomb_reason(entry, self._bytes):
            raise DataError(f"{file!r} in {self.where} {why}: it is none of ours, get a sound copy.")
        if entry.flag_bits & ENCRYPTED:
            raise DataError(f"{file!r} in {self.where} is encrypted: make the archive without a password.")
        return entry

    def _unzipped(self, entry: zipfile.ZipInfo) -> bytes:
        try:
            with self._lock:  # ZipFile counts its readers without one
                data = self._zip.read(entry)
            expected = self._sha256.get(entry.filename)
            if expected and hashlib.sha256(data).hexdigest() != expected:
                raise zipfile.BadZipFile("its sha256 is not the manifest's")
        except (OSError, *DAMAGED) as error:
            raise DataError(
                f"{entry.filename!r} in {self.where} is damaged ({one_line(error)}): get a sound copy of the archive."
            ) from None
        return data

    def _blocks(self, files: Iterable[str]) -> Iterator[list[str]]:
        """Names in order, neighbours together, each block's bytes no more than `_BLOCK_BYTES` where it can be."""
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
        with self._remote.holding(min(start for start, _ in spans), max(stop for _, stop in spans)):
            return [(file, self.read_bytes(file)) for file in files]

    @cached_property
    def _starts(self) -> list[int]:
        return [*sorted(one.header_offset for one in self._zip.infolist()), self._zip.start_dir]

    def _span(self, entry: zipfile.ZipInfo) -> tuple[int, int]:
        """First byte of an entry with its header, and the one after its last."""
        start = entry.header_offset
        most = start + entry.compress_size + _LARGEST_HEADER_BYTES
        place = bisect_right(self._starts, start)
        return start, min(most, self._bytes, self._starts[place] if place < len(self._starts) else most)
