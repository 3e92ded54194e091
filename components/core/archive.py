"""The image archive: one zip of stored PNGs with `manifest.csv` and `dataset.json`, for StyleGAN tools and for us.

Further files (`lineage.json`, `classes.json`, …) may lie in it by name. Entry names are the StyleGAN data-set form,
`00000/img00000000.png`; entries carry a fixed date, so equal content gives equal bytes. Nothing is ever extracted to a
file system, so an entry's name is a key and no path.
"""

import hashlib
import json
import threading
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import cached_property
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import pandas as pd

from components.core.ahead import computed_ahead
from components.core.content import content_of_entries, is_image
from components.core.destination import writing
from components.core.errors import DataError, plain
from components.core.files import written
from components.core.manifest import COLUMNS, SYNTHETIC_COLUMNS, parse_manifest, to_csv, typed
from components.core.pixels import Pixels, decode, encode_png
from components.core.reference import opened, reference_at
from components.core.zips import why_bomb

__all__ = [
    "CLASSES",
    "DATASET",
    "LINEAGE",
    "MANIFEST",
    "ArchiveWriter",
    "ImageArchive",
    "Pixels",
    "decode",
    "encode_png",
]

MANIFEST, DATASET = "manifest.csv", "dataset.json"
LINEAGE, CLASSES = "lineage.json", "classes.json"
LARGEST_ENTRY_BYTES = 2**30
_LARGEST_HEADER_BYTES = 30 + 2 * 0xFFFF
# Of an archive in a bucket: one request fetches so much, over gaps of at most so much, and so many are under way
_BLOCK_BYTES, _GAP_BYTES, _FETCHERS = 8 << 20, 256 << 10, 4
_EPOCH = (1980, 1, 1, 0, 0, 0)
Made = TypeVar("Made")
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)


class ArchiveWriter:
    """Writes an archive entry by entry, in constant memory apart from the manifest; complete or absent.

    with ArchiveWriter("tiles.zip") as archive:
        archive.add(pixels, {"label": 1, "patient": "7", ...})
        archive.attach("classes.json", [...])

    Raises:
        StoreError: The destination cannot be written, or is full.
    """

    def __init__(self, path: str | Path, compress_level: int = 1) -> None:
        self._path = path
        self._compress_level = compress_level
        self._columns: dict[str, list[Any]] = {name: [] for name in SYNTHETIC_COLUMNS}
        self._is_synthetic = False
        self._open = ExitStack()

    def __enter__(self) -> "ArchiveWriter":
        with writing(self._path):
            beside = self._open.enter_context(written(self._path))
            self._zip = zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED)
            self._open.callback(self._release)
        return self

    def add(self, image: Pixels | bytes, row: dict[str, Any]) -> str:
        """Adds one image (pixels [H, W, 3] uint8, or finished PNG bytes) and its manifest row; returns its name."""
        data = image if isinstance(image, bytes) else encode_png(image, self._compress_level)
        index = len(self._columns["file"])
        name = f"{index // 1000:05d}/img{index:08d}.png"
        self._store(name, data)
        row = {**row, "file": name, "sha256": hashlib.sha256(data).hexdigest()}
        for column, values in self._columns.items():
            values.append(row.get(column))
        self._is_synthetic |= "seed" in row
        return name

    def attach(self, name: str, value: Any) -> None:
        """Adds a JSON file."""
        self._store(name, (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())

    def _store(self, name: str, data: bytes) -> None:
        with writing(self._path):
            self._zip.writestr(zipfile.ZipInfo(name, _EPOCH), data)

    def _finish(self) -> None:
        table = typed(pd.DataFrame(self._columns, columns=SYNTHETIC_COLUMNS if self._is_synthetic else COLUMNS))
        self._store(MANIFEST, to_csv(table).encode())
        labels = None
        if len(table) and not table["label"].isna().any():
            labels = [[file, int(label)] for file, label in zip(table["file"], table["label"], strict=True)]
        self.attach(DATASET, {"labels": labels})
        self._zip.close()

    def _release(self) -> None:
        with suppress(OSError, ValueError):  # a full disk refuses the directory of an unfinished zip, too
            self._zip.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._open.__exit__(kind, error, trace)
            return
        with writing(self._path), self._open:
            self._finish()


class ImageArchive:
    """Reads an archive, or of one that lies in a bucket, behind a reference, what is asked for.

    What is read behind a reference is what was put: every entry that is no image is compared with the reference's
    content when it is opened, and each image with its sha256 in the manifest.

    Attributes:
        path: Where it, or the reference, lies.
        manifest: Its table, typed, in stored order.

    Raises:
        DataError: It is absent, no archive, or damaged; each entry is checked when it is read.
        StoreError: It lies in a store that is away or refuses.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        reference = reference_at(self.path)
        self._remote = opened(reference) if reference else None
        self._where = reference.archive if reference else str(path)
        self._sha256: dict[str, str] = {}
        try:
            self._zip = zipfile.ZipFile(self._remote or self.path)
            self._zip.getinfo(MANIFEST)
        except FileNotFoundError:
            raise DataError(f"There is no archive {self.path}.") from None
        except KeyError:
            raise DataError(
                f"{self._where} is no image archive (it has no {MANIFEST}): make it again with the tile stage."
            ) from None
        except _DAMAGED as error:
            raise DataError(
                f"{self._where} is no image archive ({plain(error)}): make it again with the tile stage."
            ) from None
        self._bytes = self._remote.size_bytes if self._remote else self.path.stat().st_size
        manifest = self._checked_manifest(reference.content) if reference else self.read_bytes(MANIFEST)
        self.manifest = parse_manifest(manifest, f"{MANIFEST} in {self._where}")
        if reference:
            self._sha256 = dict(zip(self.manifest["file"], self.manifest["sha256"], strict=True))

    def __len__(self) -> int:
        return len(self.manifest)

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

    def read(self, file: str) -> Pixels:
        """The pixels of one entry, [H, W, 3] uint8."""
        return decode(self.read_bytes(file), f"{file!r} in {self._where}")

    def images(self, files: Iterable[str] | None = None) -> Iterator[Pixels]:
        """Pixels of the named entries, or of all, in order; decoded ahead on all cores, a few at a time."""
        names = self.manifest["file"] if files is None else files
        return self.computed(lambda file, data: decode(data, f"{file!r} in {self._where}"), names)

    def computed(self, function: Callable[[str, bytes], Made], files: Iterable[str]) -> Iterator[Made]:
        """`function(file, bytes)` of the named entries, in order; ahead on all cores, a few at a time.

        Behind a reference neighbouring entries come in large blocks, some of them ahead, too.
        """
        if self._remote is None:
            return computed_ahead(lambda file: function(file, self.read_bytes(file)), files)
        blocks = computed_ahead(self._read_block, self._blocks(files), _FETCHERS)
        return computed_ahead(lambda one: function(*one), chain.from_iterable(blocks))

    def attachment(self, name: str) -> Any:
        """An attached JSON file; None when there is none of that name."""
        if name not in self._zip.NameToInfo:
            return None
        try:
            return json.loads(self.read_bytes(name))
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{name} in {self._where} is not valid JSON ({plain(error)}): make the archive again."
            ) from None

    def _entry(self, file: str) -> zipfile.ZipInfo:
        try:
            entry = self._zip.getinfo(file)
        except KeyError:
            raise DataError(
                f"{self._where} lacks the entry {file!r}: make it again with the stage that writes it."
            ) from None
        if entry.file_size > LARGEST_ENTRY_BYTES:
            raise DataError(
                f"{file!r} in {self._where} claims {entry.file_size:,} bytes, more than the {LARGEST_ENTRY_BYTES:,} "
                "that are read: it is none of ours, get a sound copy."
            )
        if why := why_bomb(entry, self._bytes):
            raise DataError(f"{file!r} in {self._where} {why}: it is none of ours, get a sound copy.")
        if entry.flag_bits & 1:
            raise DataError(f"{file!r} in {self._where} is encrypted: make the archive without a password.")
        return entry

    def _unzipped(self, entry: zipfile.ZipInfo) -> bytes:
        try:
            with self._lock:  # ZipFile counts its readers without one
                data = self._zip.read(entry)
            expected = self._sha256.get(entry.filename)
            if expected and hashlib.sha256(data).hexdigest() != expected:
                raise zipfile.BadZipFile("its sha256 is not the manifest's")
        except _DAMAGED as error:
            raise DataError(
                f"{entry.filename!r} in {self._where} is damaged ({plain(error)}): get a sound copy of the archive."
            ) from None
        return data

    def _checked_manifest(self, expected: str) -> bytes:
        """The manifest of a remote archive, when the archive's content proves to be the expected one."""
        names = sorted(self._zip.NameToInfo, key=lambda name: self._zip.NameToInfo[name].header_offset)
        small = [name for name in names if not is_image(name)]
        data = {name: value for block in self._blocks(small) for name, value in self._read_block(block)}
        if content_of_entries(self._zip.infolist(), data.__getitem__) != expected:
            raise DataError(
                f"{self._where} does not hold what its reference says: make both again with the stage that wrote them."
            )
        return data[MANIFEST]

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

    @cached_property
    def resolution(self) -> int:
        """Side of the (square) images in pixels; 0 for an empty archive."""
        return self.read(self.manifest["file"].iloc[0]).shape[0] if len(self) else 0

    def close(self) -> None:
        """Closes the file."""
        self._zip.close()
        if self._remote:
            self._remote.close()

    def __enter__(self) -> "ImageArchive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
