"""The manifest: one row per tile, and the rules that patients and cases keep.

`patient` is the unit of splitting, leakage and resampling; `case` (default: the patient) is the unit of the vote and
of the label, because one person may have a benign and a malignant case. `identity` is what travels in place of the
patient (see `lineage`).
"""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from components.core.errors import DataError, one_line
from components.core.io.atomic_files import atomic_write

COLUMNS = [
    "file",  # name inside the archive
    "label",  # class of the scheme: 0/1 for a tile set, class index in a GanDataset; empty where labels travel apart
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
SYNTHETIC_COLUMNS = [*COLUMNS, "seed", "class", "psi", "generator"]

_INTEGERS = ("label", "x", "y", "seed", "class")
_FLOATS = ("mpp", "psi")
_FORMULA = r"^\s*[=+\-@]|[\x00-\x1f\x7f]"
_MISSING = {"", "unknown", "nan", "none", "na", "n/a"}


def is_missing(value: object) -> bool:
    """True for what stands for no patient: empty, `unknown`, NaN."""
    return str(value).strip().lower() in _MISSING


def convert_types(table: pd.DataFrame, where: str = "The manifest") -> pd.DataFrame:
    """The table with the manifest's column types: Int64, float, str (missing text is '').

    Raises:
        DataError: Text or a fraction where a whole number stands, or an infinity; `where` opens the sentence.
    """
    table = table.copy()
    for column in table.columns:
        if column in (*_INTEGERS, *_FLOATS):
            table[column] = _numbers(table[column], column in _INTEGERS, where)
        else:
            table[column] = table[column].fillna("").astype(str)
    return table


def _numbers(column: pd.Series, whole: bool, where: str) -> pd.Series:
    stated = column.mask(column.map(is_missing).astype(bool))
    numbers = pd.to_numeric(stated, errors="coerce").astype(float)
    odd = stated.notna() & ~np.isfinite(numbers)
    if whole:
        odd |= stated.notna() & (numbers % 1 != 0)
    if odd.any():
        row = int(np.flatnonzero(odd)[0])
        raise DataError(
            f"{where} has the {column.name} {one_line(repr(str(column.iloc[row])))} in row {row + 1}, which is no "
            f"{'whole ' if whole else ''}number: correct it, or leave it empty."
        )
    return numbers.astype("Int64") if whole else numbers


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Reads and types a manifest CSV; raises DataError for one that cannot be used."""
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
    """A manifest CSV's bytes as a typed table; `where` opens the sentence of a DataError."""
    try:
        table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
    except ValueError as error:
        raise DataError(
            f"{where} is no manifest ({one_line(error)}): make it again with the stage that writes it."
        ) from None
    lacking = [column for column in COLUMNS if column not in table.columns]
    if lacking:
        raise DataError(
            f"{where} is no manifest: it lacks the columns {', '.join(lacking)}; make it again with the stage that "
            "writes it."
        )
    table = convert_types(table, where)
    refuse_formulas(table, where)
    if table["file"].duplicated().any():
        twice = one_line(repr(table.loc[table["file"].duplicated(), "file"].iloc[0]))
        raise DataError(
            f"{where} names {twice} twice: a tile has one row; make it again with the stage that writes it."
        )
    return table


def refuse_formulas(table: pd.DataFrame, where: str) -> None:
    """Refuses text that a spreadsheet would run, or that breaks a line; `where` opens the sentence of a DataError.

    What a person called a patient or a site stands in files that others open in a spreadsheet: there a cell that begins
    with one of = + - @ is a formula.
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
    """Writes a manifest CSV, complete or not at all."""
    with atomic_write(path) as beside:
        beside.write_text(to_csv(table), encoding="utf-8")


def to_csv(table: pd.DataFrame) -> str:
    """The manifest as CSV text, columns in their order."""
    columns = SYNTHETIC_COLUMNS if "seed" in table.columns else COLUMNS
    return table.reindex(columns=columns).to_csv(index=False, lineterminator="\n")


def check_labels(table: pd.DataFrame, where: str) -> None:
    """Refuses tiles without a label, and labels that are no binary class; `where` opens the sentence."""
    if table["label"].isna().any():
        raise DataError(f"{where} has tiles without a label: take the labelled one, not a blind one.")
    if outside := sorted(set(table["label"]) - {0, 1}):
        raise DataError(
            f"{where} has the label {outside[0]}: a label is 0 or 1 (1 = positive); give the binary class as the label "
            "and finer ones as the diagnosis."
        )


def check_cases(table: pd.DataFrame) -> None:
    """Refuses a case with two classes or two patients, naming it and the way out.

    Args:
        table: Rows with `patient`, `case`, `label`; rows without a patient are left out.
    """
    known = table[~table["patient"].map(is_missing).astype(bool)]
    for case, rows in known.groupby("case", sort=True):
        patients = sorted(set(rows["patient"]))
        if len(patients) > 1:
            raise DataError(
                f"Case {case!r} belongs to {len(patients)} patients ({', '.join(patients[:3])}): "
                "a case is of one person; correct the `case` or `patient` column."
            )
        labels = sorted(set(rows["label"].dropna()))
        if len(labels) > 1:
            if (rows["case"] == rows["patient"]).all():
                raise DataError(
                    f"Patient {case!r} has images of class {labels[0]} and of class {labels[1]} and no case column: "
                    "add a `case` column that tells the person's cases apart."
                )
            raise DataError(
                f"Case {case!r} has images of class {labels[0]} and of class {labels[1]}: a case has one class; "
                "correct its labels or give the images different cases."
            )


def class_map(table: pd.DataFrame) -> dict[str, int]:
    """Diagnosis -> binary class, as the labels state it; a diagnosis in both classes is an error."""
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
