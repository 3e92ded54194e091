"""What the predictions give: a row per arm and site, and the curve that KFP draws."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, roc_curve

from components.core.protocol.study_plan import StudyPlan, generator_arm, is_control
from components.core.statistics.metrics import constant_predictors, patient_metrics
from components.core.statistics.patients import patient_predictions, tile_predictions

_POINTS = 200


def site_rows(
    predictions: pd.DataFrame, study: StudyPlan, names: tuple[str, str], marks: Mapping[tuple[str, str], str]
) -> list[dict[str, Any]]:
    """The table "sites": every arm and both constant answers at every site.

    Args:
        predictions: Of all arms and sites.
        study: Its vote, and which sites have no patients.
        names: Of class 0 and class 1.
        marks: (arm, site) -> what its numbers carry.
    """
    rows: list[dict[str, Any]] = []
    for site, own in predictions.groupby("site", sort=True):
        by_tile = site in study.tile_level_sites
        where = {"site": str(site), "level": "tile" if by_tile else "patient"}
        cases = tile_predictions(own) if by_tile else patient_predictions(own, study.vote)
        arms = dict.fromkeys(own["arm"])
        for arm in arms:
            mark = marks.get((arm, str(site)), "")
            rows.append({"arm": arm, **where, **patient_metrics(cases[cases["arm"] == arm]), "mark": mark})
        any_arm = cases[cases["arm"] == next(iter(arms))]
        rows += [{**constant, **where, "mark": ""} for constant in constant_predictors(any_arm, names)]
    return rows


def roc(predictions: pd.DataFrame, study: StudyPlan, names: tuple[str, str]) -> dict[str, Any]:
    """ROC curve and confusion matrix over the patients of all sites, for the plan's last generator arm.

    Empty lists where there is no patient, or (the curve) one class.
    """
    empty: dict[str, list[float]] = {"fpr": [], "tpr": [], "threshold": []}
    known = predictions[~predictions["site"].isin(study.tile_level_sites)]
    arms = [arm for arm in study.arms if (known["arm"] == arm).any()]
    if not arms:
        return {"arm": "", **empty, "confusion": [], "classes": list(names)}
    arm = ([one for one in arms if generator_arm(one) and not is_control(one)] or arms)[-1]
    cases = patient_predictions(known[known["arm"] == arm], study.vote)
    truth, scores = cases["class"].to_numpy(), cases["prob_positive"].to_numpy(dtype=float)
    curve = empty
    if len(set(truth)) == 2:
        points = roc_curve(truth, scores)
        kept = np.unique(np.linspace(0, len(points[0]) - 1, min(_POINTS, len(points[0]))).round().astype(int))
        finite = np.minimum(points[2], 1.0)  # scikit-learn opens the curve at an infinite threshold
        curve = {name: value[kept].tolist() for name, value in zip(empty, (*points[:2], finite), strict=True)}
    confusion = confusion_matrix(truth, cases["pred_class"], labels=[0, 1]).tolist()
    return {"arm": arm, **curve, "confusion": confusion, "classes": list(names)}
