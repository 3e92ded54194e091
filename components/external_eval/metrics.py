"""Metrics of the predictions: a row per arm and site, and the ROC curve that KFP draws."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, roc_curve

from components.core.protocol.study_plan import StudyPlan, generator_arm, is_control
from components.core.records.external_eval import EvaluationRow
from components.core.statistics.metrics import constant_predictors, patient_metrics
from components.core.statistics.patients import patient_predictions, tile_predictions

_POINTS = 200


def site_rows(
    predictions: pd.DataFrame, study: StudyPlan, names: tuple[str, str], marks: Mapping[tuple[str, str], str]
) -> list[EvaluationRow]:
    """Metrics of every arm and of both constant answers at every site.

    Args:
        predictions: Prediction rows of all arms and sites.
        study: The study plan: its vote, and its sites without patients.
        names: Names of class 0 and class 1.
        marks: (arm, site) -> mark of its numbers.
    """
    rows: list[EvaluationRow] = []
    for key, of_site in predictions.groupby("site", sort=True):
        site = str(key)
        by_tile = site in study.tile_level_sites
        identity: dict[str, Any] = {"site": site, "level": "tile" if by_tile else "patient"}
        cases = tile_predictions(of_site) if by_tile else patient_predictions(of_site, study.vote)
        arms = list(dict.fromkeys(of_site["arm"]))
        for arm in arms:
            measured: dict[str, Any] = patient_metrics(cases[cases["arm"] == arm])
            rows.append(EvaluationRow(arm=arm, **identity, **measured, mark=marks.get((arm, site), "")))
        constants: Sequence[Mapping[str, Any]] = constant_predictors(cases[cases["arm"] == arms[0]], names)
        rows += [EvaluationRow(**identity, **constant) for constant in constants]
    return rows


def roc_and_confusion(predictions: pd.DataFrame, study: StudyPlan, names: tuple[str, str]) -> dict[str, Any]:
    """ROC curve and confusion matrix over the patients of all sites, for the plan's last generator arm.

    Lists are empty where there is no patient, those of the curve also where there is one class.

    Args:
        predictions: Prediction rows of all arms and sites.
        study: The study plan.
        names: Names of class 0 and class 1.

    Returns:
        JSON values: `arm`, `fpr`, `tpr`, `threshold`, `confusion` [actual][predicted], `classes`.
    """
    empty: dict[str, list[float]] = {"fpr": [], "tpr": [], "threshold": []}
    known = predictions[~predictions["site"].isin(study.tile_level_sites)]
    arms = [arm for arm in study.arms if (known["arm"] == arm).any()]
    if not arms:
        return {"arm": "", **empty, "confusion": [], "classes": list(names)}
    arm = ([name for name in arms if generator_arm(name) and not is_control(name)] or arms)[-1]
    cases = patient_predictions(known[known["arm"] == arm], study.vote)
    truth, scores = cases["class"].to_numpy(), cases["prob_positive"].to_numpy(dtype=float)
    curve = empty
    if len(set(truth)) == 2:
        points = roc_curve(truth, scores)
        subset = np.unique(np.linspace(0, len(points[0]) - 1, min(_POINTS, len(points[0]))).round().astype(int))
        finite = np.minimum(points[2], 1.0)  # scikit-learn opens the curve at an infinite threshold
        curve = {name: value[subset].tolist() for name, value in zip(empty, (*points[:2], finite), strict=True)}
    confusion = confusion_matrix(truth, cases["pred_class"], labels=[0, 1]).tolist()
    return {"arm": arm, **curve, "confusion": confusion, "classes": list(names)}
