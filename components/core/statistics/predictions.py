"""Prediction tables: one row per tile, arm and seed; both CSV forms."""

from pathlib import Path

import numpy as np
import pandas as pd

from components.core.data.manifest import is_missing, refuse_formulas
from components.core.errors import DataError, one_line

COLUMNS = [
    "tile",
    "patient",  # unit of resampling; empty only at tile-level sites
    "case",  # unit of the vote; default: the patient
    "site",
    "diagnosis",
    "class",  # the truth, 0 or 1
    "pred_class",
    "prob_positive",  # probability of class 1
    "arm",
    "fold",
    "seed",
]
_NAMES = ["tile", "patient", "case", "site", "diagnosis", "arm", "fold", "seed"]
_PREDICTED = "pred_prob"  # Thy-GAN's: the probability of the PREDICTED class
_THRESHOLD = "threshold"  # optional: what prob_positive was compared with; 0.5 where the column is absent
_ROUNDING = 1e-3


def read_predictions(path: str | Path) -> pd.DataFrame:
    """Reads a prediction CSV, ours or Thy-GAN's `patient, diagnosis, class, pred_class, pred_prob`.

    Returns:
        A table with `COLUMNS` (text, and integers and floats where they are numbers); see `as_predictions`.

    Raises:
        DataError: For a file that is not such a CSV.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(
            f"{path} cannot be read as a prediction CSV ({one_line(error)}): give one that thygan or Thy-GAN wrote."
        ) from None
    return as_predictions(table, str(path))


def as_predictions(table: pd.DataFrame, where: str = "the table") -> pd.DataFrame:
    """The table with all of `COLUMNS`, typed and checked.

    Absent columns: `case` is the patient, `seed` is "0", other text is empty, and `prob_positive` follows from
    `pred_prob` and `pred_class`.

    Args:
        table: Needs `patient`, `class`, `pred_class` and one of `prob_positive`, `pred_prob`.
        where: Name of the table in error messages.

    Raises:
        DataError: For lacking columns or rows, classes other than 0 and 1, probabilities outside 0..1,
            `prob_positive` and `pred_prob` that contradict each other, or a tile predicted twice by one network.
    """
    needed = ["patient", "class", "pred_class"]
    lacking = [column for column in needed if column not in table.columns]
    if not {"prob_positive", _PREDICTED} & set(table.columns):
        lacking.append("prob_positive (or pred_prob)")
    if lacking:
        raise DataError(f"{where} is not a table of predictions: it lacks {', '.join(lacking)}.")
    if table.empty:
        raise DataError(f"{where} has no predictions: it has no rows.")
    table = table.reset_index(drop=True)
    result = pd.DataFrame(index=table.index)
    for column in COLUMNS:
        if column in ("class", "pred_class"):
            result[column] = _classes(table, column, where)
        elif column == "prob_positive":
            result[column] = _prob_positive(table, result["pred_class"], where)
        else:
            default = "0" if column == "seed" else ""
            result[column] = table[column].fillna(default).astype(str) if column in table.columns else default
    result["patient"] = result["patient"].mask(result["patient"].map(is_missing), "")
    result["case"] = result["case"].mask(result["case"].map(is_missing), result["patient"])
    if _THRESHOLD in table.columns:
        result[_THRESHOLD] = _probabilities(table, _THRESHOLD, where)
    refuse_formulas(result[_NAMES], where)
    named = result[result["tile"] != ""]
    twice = named[named.duplicated(["arm", "fold", "seed", "site", "case", "tile"])]
    if len(twice):
        row = twice.iloc[0]
        raise DataError(
            f"{where} has tile {one_line(repr(row['tile']))} twice for arm {row['arm']!r}, fold {row['fold']!r}, "
            f"seed {row['seed']!r}: each network predicts a tile once; remove the repeated rows."
        )
    return result


def _classes(table: pd.DataFrame, column: str, where: str) -> pd.Series:
    values = pd.to_numeric(table[column], errors="coerce")
    _refuse(table, column, ~values.isin([0, 1]), where, "0 or 1")
    return values.astype(int)


def _probabilities(table: pd.DataFrame, column: str, where: str) -> pd.Series:
    values = pd.to_numeric(table[column], errors="coerce").astype(float)
    _refuse(table, column, ~values.between(0, 1), where, "a number in 0..1")
    return values


def _prob_positive(table: pd.DataFrame, pred_class: pd.Series, where: str) -> pd.Series:
    if _PREDICTED not in table.columns:
        return _probabilities(table, "prob_positive", where)
    predicted = _probabilities(table, _PREDICTED, where)
    derived = predicted.where(pred_class == 1, 1 - predicted)
    if "prob_positive" not in table.columns:
        return derived
    stated = _probabilities(table, "prob_positive", where)
    apart = np.abs(stated - derived) > _ROUNDING
    if apart.any():
        row = int(np.argmax(apart))
        raise DataError(
            f"{where}, row {row + 1}: prob_positive {stated[row]:g} contradicts pred_prob {predicted[row]:g} of "
            f"predicted class {pred_class[row]}; keep the column that is right and remove the other."
        )
    return stated


def _refuse(table: pd.DataFrame, column: str, bad: pd.Series, where: str, wanted: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        shown = one_line(repr(table[column].iloc[row]))
        raise DataError(f"{where}, row {row + 1}: {column} is {shown}, not {wanted}.")
