"""The image archive: one zip of stored PNGs with `manifest.csv` and `dataset.json`, for StyleGAN tools and for us.

Further files (`lineage.json`, `classes.json`, …) may lie in it by name. Entry names are the StyleGAN data-set form,
`00000/img00000000.png`; entries carry a fixed date, so equal content gives equal bytes.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from components.core.errors import DataError
from components.core.files import written
from components.core.manifest import COLUMNS, SYNTHETIC_COLUMNS, to_csv, typed

Pixels = npt.NDArray[np.uint8]

MANIFEST, DATASET = "manifest.csv", "dataset.json"
LINEAGE, CLASSES = "lineage.json", "classes.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def encode_png(image: Pixels, compress_level: int = 1) -> bytes:
    """PNG bytes of an image [H, W, 3] uint8."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()


def decode(data: bytes) -> Pixels:
    """Pixels [H, W, 3] uint8 of an encoded RGB image."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


class ArchiveWriter:
    """Writes an archive entry by entry, in constant memory apart from the manifest; complete or absent.

    with ArchiveWriter("tiles.zip") as archive:
        archive.add(pixels, {"label": 1, "patient": "7", ...})
        archive.attach("classes.json", [...])
    """

    def __init__(self, path: str | Path, compress_level: int = 1) -> None:
        self._written = written(path)
        self._compress_level = compress_level
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> "ArchiveWriter":
        self._zip = zipfile.ZipFile(self._written.__enter__(), "w", zipfile.ZIP_STORED)
        return self

    def add(self, image: Pixels | bytes, row: dict[str, Any]) -> str:
        """Adds one image (pixels [H, W, 3] uint8, or finished PNG bytes) and its manifest row; returns its name."""
        data = image if isinstance(image, bytes) else encode_png(image, self._compress_level)
        index = len(self._rows)
        name = f"{index // 1000:05d}/img{index:08d}.png"
        self._store(name, data)
        self._rows.append({**row, "file": name, "sha256": hashlib.sha256(data).hexdigest()})
        return name

    def attach(self, name: str, value: Any) -> None:
        """Adds a JSON file."""
        self._store(name, (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())

    def _store(self, name: str, data: bytes) -> None:
        self._zip.writestr(zipfile.ZipInfo(name, _EPOCH), data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            columns = SYNTHETIC_COLUMNS if any("seed" in row for row in self._rows) else COLUMNS
            table = typed(pd.DataFrame(self._rows, columns=columns))
            self._store(MANIFEST, to_csv(table).encode())
            labels = None
            if len(table) and not table["label"].isna().any():
                labels = [[file, int(label)] for file, label in zip(table["file"], table["label"], strict=True)]
            self.attach(DATASET, {"labels": labels})
        self._zip.close()
        self._written.__exit__(kind, error, trace)


class ImageArchive:
    """Reads an archive.

    Attributes:
        path: Where it lies.
        manifest: Its table, typed, in stored order.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._zip = zipfile.ZipFile(self.path)
            text = self._zip.read(MANIFEST).decode("utf-8")
        except FileNotFoundError:
            raise DataError(f"There is no archive {self.path}.") from None
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            raise DataError(f"{self.path} is no image archive ({error}): make it again with the tile stage.") from None
        self.manifest = typed(pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False))

    def __len__(self) -> int:
        return len(self.manifest)

    def read_bytes(self, file: str) -> bytes:
        """The PNG bytes of one entry."""
        return self._zip.read(file)

    def read(self, file: str) -> Pixels:
        """The pixels of one entry, [H, W, 3] uint8."""
        return decode(self.read_bytes(file))

    def images(self, files: list[str] | None = None) -> Iterator[Pixels]:
        """Pixels of the named entries, or of all, in order."""
        for file in self.manifest["file"] if files is None else files:
            yield self.read(file)

    def attachment(self, name: str) -> Any:
        """An attached JSON file; None when there is none of that name."""
        return json.loads(self._zip.read(name)) if name in self._zip.namelist() else None

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
