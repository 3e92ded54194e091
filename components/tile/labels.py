"""Label files: what is accepted, and how several of them about the same images come together.

    {"labels": [["1a.jpeg", 1], …]}                              StyleGAN's dataset.json
    {"meta": [["1a.jpeg", 1, "1", "PTC"], …]}, or both           Thy-GAN: file, class, patient, diagnosis
    file,class,patient,diagnosis,site,case                       CSV; `label` may stand for `class`

A row says what it knows; an empty value is not a statement, so a CSV may add the patients that a JSON lacks.
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

Row = dict[str, str]
Stated = Mapping[str, str | None]
Tables = dict[str, list[tuple[str, Stated]]]

FIELDS = ("label", "patient", "case", "diagnosis", "site")
NAMES = ("labels.json", "dataset.json", "meta.csv", "labels.csv")
_FORMS = (
    "a StyleGAN dataset.json, a Thy-GAN JSON with `meta`, or a CSV with the columns file, class, patient, diagnosis"
)
_CLASSES = {"": "", "0": "0", "1": "1", "0.0": "0", "1.0": "1"}


@dataclass(frozen=True)
class LabelFile:
    """A label file's address and its bytes."""

    where: str
    data: bytes

    @property
    def is_json(self) -> bool:
        """By its name."""
        return self.where.lower().endswith(".json")


def find_labels(place: ImageSource) -> list[LabelFile]:
    """The label files of a place: in its `images` folder, or else beside that.

    Raises:
        DataError: There is none.
    """
    for folder in (f"{IMAGES}/", ""):
        if found := _there(place, [folder + name for name in NAMES]):
            return found
    raise DataError(f"{place.where} has no label file ({', '.join(NAMES)}): put one there, or name one with --labels.")


def named_labels(address: str) -> list[LabelFile]:
    """A label file named by its path or `s3://` address and, where it is a JSON without patients, the CSVs beside it.

    Raises:
        DataError: It is not there, or is no label file.
    """
    folder, _, name = address.rstrip("/").rpartition("/")
    store = open_store(folder or ("/" if address.startswith("/") else "."))
    note = store.read(name)
    if note is None:
        raise DataError(f"There is no label file {address}.")
    named = LabelFile(address, note.data)
    if not named.is_json or any(row["patient"] for row in merged([named]).values()):
        return [named]
    beside = ((f"{store.uri}/{one}", store.read(one)) for one in NAMES if one.endswith(".csv"))
    return [named, *(LabelFile(where, note.data) for where, note in beside if note)]


def _there(place: ImageSource, names: Iterable[str]) -> list[LabelFile]:
    read = ((name, place.read(name)) for name in names)
    return [LabelFile(place.at(name), data) for name, data in read if data is not None]


def merged(files: Iterable[LabelFile]) -> dict[str, Row]:
    """What the files say together: file -> label ('0', '1'), patient, case, diagnosis, site; '' = nobody says.

    Raises:
        DataError: A file that is no label file, names an image twice, or contradicts another.
    """
    together: dict[str, Row] = {}
    said: dict[tuple[str, str], str] = {}
    for where, rows in (table for one in files for table in _tables(one)):
        for file, row in rows.items():
            known = together.setdefault(file, dict.fromkeys(FIELDS, ""))
            for field, value in row.items():
                if not value:
                    continue
                if known[field] and value != known[field]:
                    raise DataError(
                        f"{one_line(file)} has the {field} {one_line(repr(known[field]))} in {said[file, field]} and "
                        f"{one_line(repr(value))} in {where}: "
                        "correct one of them, or name the right file with --labels."
                    )
                known[field] = value
                said.setdefault((file, field), where)
    return together


def _tables(file: LabelFile) -> Iterator[tuple[str, dict[str, Row]]]:
    """The tables of a label file with what to call them: a CSV holds one, a JSON up to two."""
    try:
        text = file.data.decode("utf-8-sig")
        tables = _json_tables(text) if file.is_json else _csv_table(text)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        raise DataError(f"{file.where} cannot be read as labels: give {_FORMS}.") from None
    for name, stated in tables.items():
        where = f"{file.where} ({name})" if len(tables) > 1 else file.where
        rows: dict[str, Row] = {}
        for image, values in stated:
            row = _row(where, image, values)
            if image in rows:
                labels = sorted({rows[image]["label"], row["label"]})
                what = f"two labels ({' and '.join(labels)})" if len(labels) > 1 else "two rows"
                raise DataError(f"{one_line(image)} has {what} in {where}: an image has one; remove the other.")
            rows[image] = row
        yield where, rows


def _json_tables(text: str) -> Tables:
    value = json.loads(text)
    tables: Tables = {
        "labels": [(_name(file), {"label": _text(label)}) for file, label in value.get("labels") or []],
        "meta": [
            (_name(file), {"label": _text(label), "patient": _text(patient), "diagnosis": _text(diagnosis)})
            for file, label, patient, diagnosis in value.get("meta") or []
        ],
    }
    stated = {name: rows for name, rows in tables.items() if rows}
    if not stated:
        raise ValueError("neither labels nor meta")
    return stated


def _csv_table(text: str) -> Tables:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = set(reader.fieldnames or [])
    if "file" not in columns or not columns & {"class", "label", "patient"}:
        raise ValueError("no column file, or nothing about it")
    return {"rows": [(_name(row["file"]), {**row, "label": row.get("class") or row.get("label")}) for row in reader]}


def _name(file: Any) -> str:
    if not isinstance(file, str):
        raise TypeError("a file name that is no text")
    return PurePosixPath(normalize("NFC", file.strip()).replace("\\", "/")).as_posix()


def _text(value: Any) -> str:
    if isinstance(value, list | dict):
        raise TypeError("a value that is neither text nor number")
    return "" if value is None else str(value)


def _row(where: str, file: str, stated: Stated) -> Row:
    row = {field: (stated.get(field) or "").strip() for field in FIELDS}
    if row["label"] not in _CLASSES:
        raise DataError(
            f"{one_line(file)} has the label {one_line(repr(row['label']))} in {where}: a label is 0 or 1 "
            "(1 = positive, such as PTC-like); of more than two "
            "classes give the binary one, and the others as diagnosis, in `meta` or a CSV."
        )
    row["label"] = _CLASSES[row["label"]]
    return row | {field: "" for field in ("patient", "case", "site") if is_missing(row[field])}
