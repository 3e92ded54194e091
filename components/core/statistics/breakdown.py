"""One arm's cases by diagnosis and by site."""

from typing import Any, cast

import pandas as pd

from components.core.statistics.intervals import wilson_interval
from components.core.statistics.metrics import patient_metrics


def by_diagnosis(cases: pd.DataFrame) -> list[dict[str, Any]]:
    """Per diagnosis and class: cases, how many are correct, that share and its Wilson interval.

    Args:
        cases: One arm's cases (`patient_predictions`).

    Returns:
        Rows of `diagnosis, class, cases, correct, accuracy, accuracy_low, accuracy_high`; [] where no case has a
        diagnosis.
    """
    if not (cases["diagnosis"] != "").any():
        return []
    rows = []
    for key, members in cases.groupby(["diagnosis", "class"], sort=True):
        diagnosis, label = cast("tuple[str, int]", key)
        correct = int((members["pred_class"] == members["class"]).sum())
        share, low, high = wilson_interval(correct, len(members))
        rows.append(
            {"diagnosis": diagnosis, "class": int(label), "cases": len(members), "correct": correct}
            | {"accuracy": share, "accuracy_low": low, "accuracy_high": high}
        )
    return rows


def by_site(cases: pd.DataFrame) -> list[dict[str, Any]]:
    """`patient_metrics` of every site, with its name and its number of patients."""
    return [
        {"site": site, "patients": members["patient"].nunique(), **patient_metrics(members)}
        for site, members in cases.groupby("site", sort=False)
    ]
