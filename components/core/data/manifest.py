"""The manifest, a table with one row per tile, and its rules for patients and cases.

`patient` is the unit of splitting, leakage and resampling; `case` (default: the patient) is the unit of the vote and
of the label, because one person may have a benign and a malignant case. `identity` replaces the patient outside the
manifest (see `lineage`).
"""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from components.core.errors import DataError, one_line
from components.core.io.atomic_files import atomic_write

COLUMNS = [
    "file",  # name inside the archive
    "label",  # class of the scheme: 0/1 for a tile set, class index in a GanDataset; empty in a blind tile set
    "patient",
    "case",
    "diagnosis",
    "site",
    "source",  # image the tile was cut from
    "x",  # left edge in the source, pixels of the source (after resampling to the study's um/px)
    "y",
    "mpp",  # micrometres per pixel of the tile; empty = unknown
    "sha256",  # of the PNG's bytes
    "identity",  # HMAC of namespace/patient
]
ADDED_COLUMNS: list[str] = []  # columns that archives of earlier versions lack; read as empty there
SYNTHETIC_COLUMNS = [*COLUMNS, "seed", "class", "psi", "generator"]

_INTEGERS = ("label", "x", "y", "seed", "class")
_FLOATS = ("mpp", "psi")
_FORMULA = r"^\s*[=+\-@]|[\x00-\x1f\x7f]"
_MISSING = {"", "unknown", "nan", "none", "na", "n/a"}


def is_missing(value: object) -> bool:
    """Whether a value means that the patient is unknown: empty, `unknown`, NaN."""
    return str(value).strip().lower() in _MISSING


def convert_types(table: pd.DataFrame, where: str = "The manifest") -> pd.DataFrame:
    """The table with the manifest's column types: Int64, float, str (missing text = '').

    Args:
        table: Rows of a manifest.
        where: Name of the table, the subject of an error message.

    Raises:
        DataError: A number column holds text, an infinity or, for whole numbers, a fraction.
    """
    table = table.copy()
    for column in table.columns:
        if column in (*_INTEGERS, *_FLOATS):
            table[column] = _numbers(table[column], column in _INTEGERS, where)
        else:
            table[column] = table[column].fillna("").astype(str)
    return table


def _numbers(column: pd.Series, whole: bool, where: str) -> pd.Series:
    present = column.mask(column.map(is_missing).astype(bool))
    numbers = pd.to_numeric(present, errors="coerce").astype(float)
    wrong = present.notna() & ~np.isfinite(numbers)
    if whole:
        wrong |= present.notna() & (numbers % 1 != 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{where} has the {column.name} {one_line(repr(str(column.iloc[row])))} in row {row + 1}, which is not a "
            f"{'whole ' if whole else ''}number: correct it, or leave it empty."
        )
    return numbers.astype("Int64") if whole else numbers


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Reads a manifest CSV with its column types; raises DataError for a missing or invalid one."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError(f"There is no manifest {path}.") from None
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): name the manifest that the tile stage wrote."
        ) from None
    return parse_manifest(data, str(path))


def parse_manifest(data: bytes, where: str) -> pd.DataFrame:
    """The bytes of a manifest CSV as a table with its column types; `where` is the subject of a DataError."""
    try:
        table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
    except ValueError as error:
        raise DataError(f"{where} is not a manifest ({one_line(error)}): run the stage that writes it again.") from None
    lacking = [column for column in COLUMNS if column not in (*table.columns, *ADDED_COLUMNS)]
    if lacking:
        raise DataError(
            f"{where} is not a manifest: it lacks the columns {', '.join(lacking)}. Run the stage that writes it again."
        )
    table = table.assign(**{column: "" for column in ADDED_COLUMNS if column not in table.columns})
    table = convert_types(table, where)
    refuse_formulas(table, where)
    if table["file"].duplicated().any():
        twice = one_line(repr(table.loc[table["file"].duplicated(), "file"].iloc[0]))
        raise DataError(f"{where} lists {twice} twice: a tile has one row. Run the stage that writes it again.")
    return table


def refuse_formulas(table: pd.DataFrame, where: str) -> None:
    """Raises DataError for text that a spreadsheet would run as a formula, or that breaks a line.

    Names of patients and sites reach files that people open in a spreadsheet, where a cell that begins with one of
    = + - @ is a formula.

    Args:
        table: Rows of a manifest.
        where: Name of the table, the subject of the message.
    """
    for column in table.columns:
        if table[column].dtype.kind in "iuf" or column in (*_INTEGERS, *_FLOATS):
            continue
        odd = table[column].astype(str).str.contains(_FORMULA)
        if odd.any():
            row = int(np.flatnonzero(odd)[0])
            raise DataError(
                f"{where} has the {column} {one_line(repr(str(table[column].iloc[row])))} in row {row + 1}, which a "
                "spreadsheet would take for a formula, or which breaks a line: begin it with a letter or a digit."
            )


def write_manifest(path: str | Path, table: pd.DataFrame) -> None:
    """Writes a manifest CSV atomically."""
    with atomic_write(path) as partial:
        partial.write_text(to_csv(table), encoding="utf-8")


def to_csv(table: pd.DataFrame) -> str:
    """The manifest as CSV text, with the columns in their order."""
    columns = SYNTHETIC_COLUMNS if "seed" in table.columns else COLUMNS
    return table.reindex(columns=columns).to_csv(index=False, lineterminator="\n")


def check_labels(table: pd.DataFrame, where: str) -> None:
    """Raises DataError for a tile without a label or with another label than 0 and 1; `where` names the table."""
    if table["label"].isna().any():
        raise DataError(f"{where} has tiles without a label: use the labelled one, not a blind one.")
    if outside := sorted(set(table["label"]) - {0, 1}):
        raise DataError(
            f"{where} has the label {outside[0]}: a label is 0 or 1 (1 = positive); give the binary class as the label "
            "and finer ones as the diagnosis."
        )


def check_cases(table: pd.DataFrame) -> None:
    """Raises DataError for a case with two classes or two patients.

    Args:
        table: Rows with `patient`, `case`, `label`; rows without a patient are ignored.
    """
    known = table[~table["patient"].map(is_missing).astype(bool)]
    for case, rows in known.groupby("case", sort=True):
        patients = sorted(set(rows["patient"]))
        if len(patients) > 1:
            raise DataError(
                f"Case {case!r} belongs to {len(patients)} patients ({', '.join(patients[:3])}): "
                "a case belongs to one person; correct the `case` or `patient` column."
            )
        labels = sorted(set(rows["label"].dropna()))
        if len(labels) > 1:
            if (rows["case"] == rows["patient"]).all():
                raise DataError(
                    f"Patient {case!r} has images of class {labels[0]} and of class {labels[1]} and no case column: "
                    "add a `case` column that distinguishes the patient's cases."
                )
            raise DataError(
                f"Case {case!r} has images of class {labels[0]} and of class {labels[1]}: a case has one class; "
                "correct its labels or give the images different cases."
            )


def class_map(table: pd.DataFrame) -> dict[str, int]:
    """Diagnosis -> binary class, from the labels; raises DataError for a diagnosis in both classes."""
    found: dict[str, int] = {}
    pairs = table.dropna(subset=["label"])[["diagnosis", "label"]].drop_duplicates().sort_values(["diagnosis", "label"])
    for diagnosis, label in zip(pairs["diagnosis"], pairs["label"], strict=True):
        if diagnosis in found:
            raise DataError(
                f"Diagnosis {diagnosis!r} is labelled both 0 and 1: each diagnosis belongs to one binary class."
            )
        found[diagnosis] = int(label)
    return found


def cases(table: pd.DataFrame) -> pd.DataFrame:
    """One row per case: `case, patient, identity, site, diagnosis, label, tiles`, sorted by case."""
    return (
        table.groupby("case", sort=True)
        .agg(
            patient=("patient", "first"),
            identity=("identity", "first"),
            site=("site", "first"),
            diagnosis=("diagnosis", "first"),
            label=("label", "first"),
            tiles=("file", "size"),
        )
        .reset_index()
    )
