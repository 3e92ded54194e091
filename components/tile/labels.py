"""Label files: the forms that are accepted, and how several of them about the same images are merged.

    {"labels": [["1a.jpeg", 1], …]}                              StyleGAN's dataset.json
    {"meta": [["1a.jpeg", 1, "1", "PTC"], …]}, or both           Thy-GAN: file, class, patient, diagnosis
    file,class,patient,diagnosis,site,case                       CSV; `label` may stand for `class`

An empty value states nothing, so a CSV may add the patients that a JSON lacks.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from unicodedata import normalize

from components.core.data.manifest import is_missing
from components.core.errors import DataError, one_line
from components.core.store import open_store
from components.tile.image_sources import IMAGES, ImageSource

LabelRow = dict[str, str]
RawRow = Mapping[str, str | None]
RawTables = dict[str, list[tuple[str, RawRow]]]

FIELDS = ("label", "patient", "case", "diagnosis", "site")
NAMES = ("labels.json", "dataset.json", "meta.csv", "labels.csv")
_FORMS = (
    "a StyleGAN dataset.json, a Thy-GAN JSON with `meta`, or a CSV with the columns file, class, patient, diagnosis"
)
_CLASSES = {"": "", "0": "0", "1": "1", "0.0": "0", "1.0": "1"}


@dataclass(frozen=True)
class LabelFile:
    """A label file.

    Attributes:
        where: Its address.
        data: Its content.
    """

    where: str
    data: bytes

    @property
    def is_json(self) -> bool:
        """Whether it is JSON, by its name."""
        return self.where.lower().endswith(".json")


def find_labels(source: ImageSource) -> list[LabelFile]:
    """The label files of a source: in its `images` folder, or else beside that.

    Raises:
        DataError: The source has no label file.
    """
    for folder in (f"{IMAGES}/", ""):
        if files := _read_existing_files(source, [folder + name for name in NAMES]):
            return files
    raise DataError(f"{source.where} has no label file ({', '.join(NAMES)}): add one, or name one with --labels.")


def read_label_files(address: str) -> list[LabelFile]:
    """A label file by its path or `s3://` address and, where it is a JSON without patients, the CSVs beside it.

    Raises:
        DataError: It does not exist, or is not a label file.
    """
    folder, _, name = address.rstrip("/").rpartition("/")
    store = open_store(folder or ("/" if address.startswith("/") else "."))
    content = store.read(name)
    if content is None:
        raise DataError(f"There is no label file {address}.")
    named = LabelFile(address, content.data)
    if not named.is_json or any(row["patient"] for row in merge_labels([named]).values()):
        return [named]
    siblings = ((f"{store.uri}/{sibling}", store.read(sibling)) for sibling in NAMES if sibling.endswith(".csv"))
    return [named, *(LabelFile(where, sibling.data) for where, sibling in siblings if sibling)]


def _read_existing_files(source: ImageSource, names: Iterable[str]) -> list[LabelFile]:
    contents = ((name, source.read(name)) for name in names)
    return [LabelFile(source.address(name), data) for name, data in contents if data is not None]


def merge_labels(files: Iterable[LabelFile]) -> dict[str, LabelRow]:
    """File -> label ('0', '1'), patient, case, diagnosis, site out of all files; '' = no file states it.

    Raises:
        DataError: A file is not a label file, names an image twice, or contradicts another.
    """
    merged: dict[str, LabelRow] = {}
    stated_in: dict[tuple[str, str], str] = {}
    for where, rows in (table for file in files for table in _read_tables(file)):
        for file, row in rows.items():
            known = merged.setdefault(file, dict.fromkeys(FIELDS, ""))
            for field, value in row.items():
                if not value:
                    continue
                if known[field] and value != known[field]:
                    raise DataError(
                        f"{one_line(file)} has the {field} {one_line(repr(known[field]))} in {stated_in[file, field]} "
                        f"and {one_line(repr(value))} in {where}: "
                        "correct one of them, or name the right file with --labels."
                    )
                known[field] = value
                stated_in.setdefault((file, field), where)
    return merged


def _read_tables(file: LabelFile) -> Iterator[tuple[str, dict[str, LabelRow]]]:
    """The tables of a label file with their names in messages: a CSV holds one, a JSON up to two."""
    try:
        text = file.data.decode("utf-8-sig")
        tables = _json_tables(text) if file.is_json else _csv_table(text)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        raise DataError(f"{file.where} cannot be read as labels: give {_FORMS}.") from None
    for name, raw_rows in tables.items():
        where = f"{file.where} ({name})" if len(tables) > 1 else file.where
        rows: dict[str, LabelRow] = {}
        for image, values in raw_rows:
            row = _parse_row(where, image, values)
            if image in rows:
                labels = sorted({rows[image]["label"], row["label"]})
                what = f"two labels ({' and '.join(labels)})" if len(labels) > 1 else "two rows"
                raise DataError(f"{one_line(image)} has {what} in {where}: an image has one row; remove the other.")
            rows[image] = row
        yield where, rows


def _json_tables(text: str) -> RawTables:
    value = json.loads(text)
    tables: RawTables = {
        "labels": [(_file_name(file), {"label": _text(label)}) for file, label in value.get("labels") or []],
        "meta": [
            (_file_name(file), {"label": _text(label), "patient": _text(patient), "diagnosis": _text(diagnosis)})
            for file, label, patient, diagnosis in value.get("meta") or []
        ],
    }
    filled = {name: rows for name, rows in tables.items() if rows}
    if not filled:
        raise ValueError("neither labels nor meta")
    return filled


def _csv_table(text: str) -> RawTables:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = set(reader.fieldnames or [])
    if "file" not in columns or not columns & {"class", "label", "patient"}:
        raise ValueError("no column file, or nothing about it")
    return {
        "rows": [(_file_name(row["file"]), {**row, "label": row.get("class") or row.get("label")}) for row in reader]
    }


def _file_name(file: Any) -> str:
    if not isinstance(file, str):
        raise TypeError("a file name that is not text")
    return PurePosixPath(normalize("NFC", file.strip()).replace("\\", "/")).as_posix()


def _text(value: Any) -> str:
    if isinstance(value, list | dict):
        raise TypeError("a value that is neither text nor number")
    return "" if value is None else str(value)


def _parse_row(where: str, file: str, raw: RawRow) -> LabelRow:
    row = {field: (raw.get(field) or "").strip() for field in FIELDS}
    if row["label"] not in _CLASSES:
        raise DataError(
            f"{one_line(file)} has the label {one_line(repr(row['label']))} in {where}: a label is 0 or 1 "
            "(1 = positive, such as PTC-like); of more than two "
            "classes give the binary one, and the others as diagnosis, in `meta` or a CSV."
        )
    row["label"] = _CLASSES[row["label"]]
    return row | {field: "" for field in ("patient", "case", "site") if is_missing(row[field])}
