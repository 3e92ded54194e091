"""Metrics of one arm, from cases (or tiles): accuracy, AUROC, calibration; and those of a constant answer."""

import numpy as np
import pandas as pd

from components.core.errors import DataError
from components.core.statistics.auroc import Floats, Groups, mean_auroc, within_auroc

METRICS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "sensitivity",
    "specificity",
    "auroc",
    "auroc_within_sites",
    "auroc_within_folds",
    "brier",
    "ece",
    "kappa",
)
_BINS = 5  # of the calibration error: more would be empty at these numbers of patients


def patient_metrics(cases: pd.DataFrame) -> dict[str, float | int | None]:
    """The metrics of one arm.

    Args:
        cases: `class`, `pred_class`, `prob_positive` and, where there are several, `site` and `fold`; one row per case
            (`patient_predictions`) or per tile (`tile_predictions`).

    Returns:
        `n`, `positives` and `METRICS`, fractions in 0..1 (kappa -1..1), None where one class leaves a metric undefined.
        auroc ranks all pairs; auroc_within_sites the pairs of one site; auroc_within_folds is the mean over folds,
        the cross-validated one. brier: mean (p - y)^2. ece: sum over 5 equal bins of p of n_bin/n |mean p - mean y|.
        kappa: Cohen's. macro_f1: over both classes.
    """
    if cases.empty:
        raise DataError("There are no cases to measure.")
    values = weighted_metrics(cases, np.ones((1, len(cases))))
    known = {name: None if np.isnan(value[0]) else float(value[0]) for name, value in values.items()}
    return {"n": len(cases), "positives": int(cases["class"].sum()), **known}


def constant_predictors(
    cases: pd.DataFrame, names: tuple[str, str] = ("class 0", "class 1")
) -> list[dict[str, str | float | int | None]]:
    """Metrics of always answering one class: two rows like `patient_metrics`, with `arm` "always NAME".

    Calibration is None: an answer without a probability has none.
    """
    rows: list[dict[str, str | float | int | None]] = []
    for answer, name in enumerate(names):
        measured = patient_metrics(cases.assign(pred_class=answer, prob_positive=float(answer)))
        rows.append({"arm": f"always {name}", **measured, "brier": None, "ece": None})
    return rows


def weighted_metrics(cases: pd.DataFrame, weights: Floats) -> dict[str, Floats]:
    """`METRICS` for every row of case weights.

    Args:
        cases: Cases, as in `patient_metrics`.
        weights: Case weights, [b, n].

    Returns:
        Name -> [b], NaN where undefined.
    """
    truth, guess = cases["class"].to_numpy() == 1, cases["pred_class"].to_numpy() == 1
    scores = cases["prob_positive"].to_numpy(dtype=float)
    total = weights.sum(axis=1)
    tp, fn = weights @ (truth & guess), weights @ (truth & ~guess)
    fp, tn = weights @ (~truth & guess), weights @ (~truth & ~guess)
    both = np.where((tp + fn > 0) & (tn + fp > 0), 1.0, np.nan)  # NaN where a class is missing
    sensitivity, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    accuracy = (tp + tn) / total
    chance = ((tp + fn) * (tp + fp) + (tn + fp) * (tn + fn)) / total**2
    error = scores - truth
    bins = np.eye(_BINS)[np.minimum((scores * _BINS).astype(int), _BINS - 1)]  # [n, bins]
    together, sites, folds = (_codes(cases, column) for column in ("", "site", "fold"))
    auroc = within_auroc(scores, truth, together, weights)
    return {
        "accuracy": accuracy,
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "macro_f1": both * (_f1(tp, fp + fn) + _f1(tn, fp + fn)) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "auroc": auroc,
        "auroc_within_sites": within_auroc(scores, truth, sites, weights) if sites.any() else auroc,
        "auroc_within_folds": mean_auroc(scores, truth, folds, weights) if folds.any() else auroc,
        "brier": weights @ error**2 / total,
        "ece": np.abs((weights * error) @ bins).sum(axis=1) / total,
        "kappa": both * (accuracy - chance) / np.where(chance < 1, 1 - chance, np.nan),
    }


def _ratio(part: Floats, whole: Floats) -> Floats:
    return part / np.where(whole > 0, whole, np.nan)


def _f1(hits: Floats, misses: Floats) -> Floats:
    return np.nan_to_num(_ratio(2 * hits, 2 * hits + misses))


def _codes(cases: pd.DataFrame, column: str) -> Groups:
    if column not in cases.columns:
        return np.zeros(len(cases), dtype=np.intp)
    return pd.factorize(cases[column])[0].astype(np.intp)
