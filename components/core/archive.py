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
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from components.core.ahead import computed_ahead
from components.core.destination import writing
from components.core.errors import DataError, plain
from components.core.files import written
from components.core.manifest import COLUMNS, SYNTHETIC_COLUMNS, parse_manifest, to_csv, typed
from components.core.pixels import Pixels, decode, encode_png
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
_EPOCH = (1980, 1, 1, 0, 0, 0)
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
    """Reads an archive.

    Attributes:
        path: Where it lies.
        manifest: Its table, typed, in stored order.

    Raises:
        DataError: It is absent, no archive, or damaged; each entry is checked when it is read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(self.path)
            self._zip.getinfo(MANIFEST)
            self._bytes = self.path.stat().st_size
        except FileNotFoundError:
            raise DataError(f"There is no archive {self.path}.") from None
        except KeyError:
            raise DataError(
                f"{self.path} is no image archive (it has no {MANIFEST}): make it again with the tile stage."
            ) from None
        except _DAMAGED as error:
            raise DataError(
                f"{self.path} is no image archive ({plain(error)}): make it again with the tile stage."
            ) from None
        self.manifest = parse_manifest(self.read_bytes(MANIFEST), f"{MANIFEST} in {self.path}")

    def __len__(self) -> int:
        return len(self.manifest)

    def read_bytes(self, file: str) -> bytes:
        """The bytes of one entry.

        Raises:
            DataError: There is no such entry, or it is damaged, encrypted or larger than any that we write.
        """
        try:
            entry = self._zip.getinfo(file)
        except KeyError:
            raise DataError(
                f"{self.path} lacks the entry {file!r}: make it again with the stage that writes it."
            ) from None
        if entry.file_size > LARGEST_ENTRY_BYTES:
            raise DataError(
                f"{file!r} in {self.path} claims {entry.file_size:,} bytes, more than the {LARGEST_ENTRY_BYTES:,} that "
                "are read: it is none of ours, get a sound copy."
            )
        if why := why_bomb(entry, self._bytes):
            raise DataError(f"{file!r} in {self.path} {why}: it is none of ours, get a sound copy.")
        if entry.flag_bits & 1:
            raise DataError(f"{file!r} in {self.path} is encrypted: make the archive without a password.")
        try:
            with self._lock:  # ZipFile counts its readers without one
                return self._zip.read(entry)
        except _DAMAGED as error:
            raise DataError(
                f"{file!r} in {self.path} is damaged ({plain(error)}): get a sound copy of the archive."
            ) from None

    def read(self, file: str) -> Pixels:
        """The pixels of one entry, [H, W, 3] uint8."""
        return decode(self.read_bytes(file), f"{file!r} in {self.path}")

    def images(self, files: Iterable[str] | None = None) -> Iterator[Pixels]:
        """Pixels of the named entries, or of all, in order; decoded ahead on all cores, a few at a time."""
        return computed_ahead(self.read, self.manifest["file"] if files is None else files)

    def attachment(self, name: str) -> Any:
        """An attached JSON file; None when there is none of that name."""
        if name not in self._zip.NameToInfo:
            return None
        try:
            return json.loads(self.read_bytes(name))
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{name} in {self.path} is not valid JSON ({plain(error)}): make the archive again."
            ) from None

    @property
    def resolution(self) -> int:
        """Side of the (square) images in pixels; 0 for an empty archive."""
        return self.read(self.manifest["file"].iloc[0]).shape[0] if len(self) else 0

    def close(self) -> None:
        """Closes the file."""
        self._zip.close()

    def __enter__(self) -> "ImageArchive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
