"""The image archive: one zip of PNGs with `manifest.csv` and, for StyleGAN tools, `dataset.json`.

It may hold further JSON files (`lineage.json`, `classes.json`, …). Images are named as in StyleGAN data sets,
`00000/img00000000.png`; entries have a fixed date, so equal content gives equal bytes. Nothing is extracted to a file
system, so the name of an entry is a key, never a path.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from components.core.data.file_names import DATASET, MANIFEST
from components.core.data.images import Pixels, decode, encode_png
from components.core.data.manifest import COLUMNS, SYNTHETIC_COLUMNS, convert_types, parse_manifest, to_csv
from components.core.data.zip_reader import Result, ZipReader
from components.core.errors import DataError, one_line
from components.core.io.atomic_files import atomic_write
from components.core.io.os_errors import describe_os_errors

_EPOCH = (1980, 1, 1, 0, 0, 0)


class ArchiveWriter:
    """Writes an archive atomically, entry by entry, in constant memory apart from the manifest.

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
        with describe_os_errors(self._path):
            partial = self._open.enter_context(atomic_write(self._path))
            self._zip = zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED)
            self._open.callback(self._release)
        return self

    def add(self, image: Pixels | bytes, row: dict[str, Any]) -> str:
        """Adds an image and its manifest row; returns the name of its entry.

        Args:
            image: Pixels [H, W, 3] uint8, or PNG bytes.
            row: Column -> value of the manifest, without `file` and `sha256`.
        """
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
        with describe_os_errors(self._path):
            self._zip.writestr(zipfile.ZipInfo(name, _EPOCH), data)

    def _finish(self) -> None:
        table = convert_types(pd.DataFrame(self._columns, columns=SYNTHETIC_COLUMNS if self._is_synthetic else COLUMNS))
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
        with describe_os_errors(self._path), self._open:
            self._finish()


class ImageArchive:
    """Reads an archive; through a reference, ranges of an archive in a bucket.

    Bytes of a remote archive are verified: all entries but images against the reference when the archive is opened, and
    each image against its sha256 in the manifest.

    Attributes:
        path: The archive or its reference.
        manifest: Its table with the column types of `convert_types`, in the order of the entries.

    Raises:
        DataError: The archive is missing, damaged or of another kind; an entry is checked when it is read.
        StoreError: The store of a remote archive cannot be reached or denies access.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._entries = ZipReader(self.path, MANIFEST)
        is_remote = self._entries.is_remote
        data = self._entries.read_verified()[MANIFEST] if is_remote else self.read_bytes(MANIFEST)
        self.manifest = parse_manifest(data, f"{MANIFEST} in {self._entries.where}")
        if is_remote:
            self._entries.expect(dict(zip(self.manifest["file"], self.manifest["sha256"], strict=True)))

    def __len__(self) -> int:
        return len(self.manifest)

    def read_bytes(self, file: str) -> bytes:
        """The bytes of one entry; see `ZipReader.read_bytes`."""
        return self._entries.read_bytes(file)

    def read(self, file: str) -> Pixels:
        """The pixels of one entry, [H, W, 3] uint8."""
        return decode(self.read_bytes(file), f"{file!r} in {self._entries.where}")

    def images(self, files: Iterable[str] | None = None) -> Iterator[Pixels]:
        """Pixels of some entries (None = all), in order; decoded on all cores, a few ahead."""
        names = self.manifest["file"] if files is None else files
        return self.map_entries(lambda file, data: decode(data, f"{file!r} in {self._entries.where}"), names)

    def map_entries(self, function: Callable[[str, bytes], Result], files: Iterable[str]) -> Iterator[Result]:
        """`function(file, bytes)` of the named entries; see `ZipReader.map_entries`."""
        return self._entries.map_entries(function, files)

    def attachment(self, name: str) -> Any:
        """The value of a JSON file in the archive; None = there is no such file."""
        if name not in self._entries:
            return None
        try:
            return json.loads(self.read_bytes(name))
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{name} in {self._entries.where} is not valid JSON ({one_line(error)}): write the archive again."
            ) from None

    @cached_property
    def resolution(self) -> int:
        """Side of the (square) images in pixels; 0 for an empty archive."""
        return self.read(self.manifest["file"].iloc[0]).shape[0] if len(self) else 0

    def close(self) -> None:
        """Closes the archive."""
        self._entries.close()

    def __enter__(self) -> "ImageArchive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
