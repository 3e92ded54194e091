"""Label files: what is accepted, and how several of them about the same images come together.

    {"labels": [["1a.jpeg", 1], …]}                              StyleGAN's dataset.json
    {"meta": [["1a.jpeg", 1, "1", "PTC"], …]}, or both           Thy-GAN: file, class, patient, diagnosis
    file,class,patient,diagnosis,site,case                       CSV; `label` may stand for `class`

A row says what it knows; an empty value is not a statement, so a CSV may add the patients that a JSON lacks.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from components.core.errors import DataError
from components.core.manifest import is_missing

Row = dict[str, str]

FIELDS = ("label", "patient", "case", "diagnosis", "site")
NAMES = ("labels.json", "dataset.json", "meta.csv", "labels.csv")
_FORMS = (
    "a StyleGAN dataset.json, a Thy-GAN JSON with `meta`, or a CSV with the columns file, class, patient, diagnosis"
)
_CLASSES = {"": "", "0": "0", "1": "1", "0.0": "0", "1.0": "1"}


def find_labels(folder: Path) -> list[Path]:
    """The label files of a folder of images: in it, or beside it when it is an `images` folder."""
    for place in [folder, folder.parent] if folder.name == "images" else [folder]:
        found = [place / name for name in NAMES if (place / name).is_file()]
        if found:
            return found
    raise DataError(f"{folder} has no label file ({', '.join(NAMES)}): put one there, or name one with --labels.")


def with_patients(path: Path) -> list[Path]:
    """A named label file and, where it is a JSON without patients, the CSVs beside it."""
    if any(row["patient"] for row in merged([path]).values()) or path.suffix.lower() != ".json":
        return [path]
    return [path, *(one for name in NAMES if name.endswith(".csv") and (one := path.with_name(name)).is_file())]


def merged(paths: Iterable[Path]) -> dict[str, Row]:
    """What the files say together: file -> label ('0', '1'), patient, case, diagnosis, site; '' = nobody says.

    Raises:
        DataError: A file that is no label file, names an image twice, or contradicts another.
    """
    together: dict[str, Row] = {}
    said: dict[tuple[str, str], str] = {}
    for where, rows in (table for path in paths for table in _tables(path)):
        for file, row in rows.items():
            known = together.setdefault(file, dict.fromkeys(FIELDS, ""))
            for field, value in row.items():
                if not value:
                    continue
                if known[field] and value != known[field]:
                    raise DataError(
                        f"{file} has the {field} {known[field]!r} in {said[file, field]} and {value!r} in {where}: "
                        "correct one of them, or name the right file with --labels."
                    )
                known[field] = value
                said.setdefault((file, field), where)
    return together


def _tables(path: Path) -> Iterator[tuple[str, dict[str, Row]]]:
    """The tables of a label file with what to call them: a CSV holds one, a JSON up to two."""
    if not path.is_file():
        raise DataError(f"There is no label file {path}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        tables = _json_tables(text) if path.suffix.lower() == ".json" else _csv_table(text)
    except (ValueError, TypeError, AttributeError, LookupError):
        raise DataError(f"{path} cannot be read as labels: give {_FORMS}.") from None
    for name, stated in tables.items():
        where = f"{path} ({name})" if len(tables) > 1 else str(path)
        rows: dict[str, Row] = {}
        for file, values in stated:
            row = _row(where, file, values)
            if file in rows:
                labels = sorted({rows[file]["label"], row["label"]})
                what = f"two labels ({' and '.join(labels)})" if len(labels) > 1 else "two rows"
                raise DataError(f"{file} has {what} in {where}: an image has one; remove the other.")
            rows[file] = row
        yield where, rows


def _json_tables(text: str) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    value = json.loads(text)
    tables = {
        "labels": [(_name(file), {"label": label}) for file, label in value.get("labels") or []],
        "meta": [
            (_name(file), {"label": label, "patient": patient, "diagnosis": diagnosis})
            for file, label, patient, diagnosis in value.get("meta") or []
        ],
    }
    stated = {name: rows for name, rows in tables.items() if rows}
    if not stated:
        raise ValueError("neither labels nor meta")
    return stated


def _csv_table(text: str) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = set(reader.fieldnames or [])
    if "file" not in columns or not columns & {"class", "label", "patient"}:
        raise ValueError("no column file, or nothing about it")
    return {"rows": [(_name(row["file"]), {**row, "label": row.get("class") or row.get("label")}) for row in reader]}


def _name(file: Any) -> str:
    return PurePosixPath(str(file).strip().replace("\\", "/")).as_posix()


def _row(where: str, file: str, stated: dict[str, Any]) -> Row:
    row = {field: "" if stated.get(field) is None else str(stated[field]).strip() for field in FIELDS}
    if row["label"] not in _CLASSES:
        raise DataError(
            f"{file} has the label {row['label']!r} in {where}: a label is 0 or 1 (1 = positive, such as PTC-like); "
            "of more than two classes give the binary one, and the others as diagnosis, in `meta` or a CSV."
        )
    row["label"] = _CLASSES[row["label"]]
    return row | {field: "" for field in ("patient", "case", "site") if is_missing(row[field])}
