"""Tables of performance: cross-validation, each external site, and what a constant answer gets in the same table."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from components.core.html.number_format import fraction
from components.core.statistics.intervals import Interval, metric_intervals, wilson_interval
from components.core.statistics.metrics import constant_predictors, patient_metrics
from components.core.statistics.patients import patient_predictions, tile_predictions
from components.core.statistics.power import detectable_auroc
from components.report.breakdown import diagnoses, sites
from components.report.inputs import Inputs, Row
from components.report.labels import Labels

BASELINE = "none"
AUROC_IN_FOLDS, AUROC_IN_SITES, AUROC = "auroc_within_folds", "auroc_within_sites", "auroc"
# proportions whose denominator is fixed: n, the positives, the negatives
_PROPORTIONS = ("accuracy", "sensitivity", "specificity")
_HEADS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    AUROC: "AUROC",
    AUROC_IN_FOLDS: "AUROC within folds",
    AUROC_IN_SITES: "AUROC within sites",
    "brier": "Brier",
    "ece": "ECE",
    "kappa": "κ",
}
_CALIBRATION = ("brier", "ece", "kappa")
_CORE = ("accuracy", "balanced_accuracy", "macro_f1", "sensitivity", "specificity")


def cross_validation(inputs: Inputs, names: Labels) -> dict[str, Any] | None:
    """The out-of-fold table of all arms; None without predictions."""
    if inputs.predictions.empty:
        return None
    cases = patient_predictions(inputs.predictions, inputs.study.vote)
    return {
        **_evidence("cv", cases, [AUROC_IN_FOLDS, AUROC], inputs, names, external=False),
        "marks": names.marks_of(sorted(set(cases["site"]))),
    }


def external_sites(inputs: Inputs, names: Labels) -> list[dict[str, Any]]:
    """Evidence per external site, those with patients first; and, where several have them, of all together."""
    table = inputs.external_predictions
    if table.empty:
        return []
    tile_level = [site for site in inputs.study.tile_level_sites if (table["site"] == site).any()]
    voted = [site for site in table["site"].drop_duplicates() if site not in tile_level]
    found = []
    if len(voted) > 1:
        cases = patient_predictions(table[table["site"].isin(voted)], inputs.study.vote)
        everywhere = _evidence("external-all", cases, [AUROC_IN_SITES], inputs, names, external=True)
        found.append(
            {**everywhere, "site": f"All {len(voted)} sites", "marks": names.marks_of(voted), "level": "patient"}
        )
    for place, site in enumerate([*voted, *tile_level]):
        rows = table[table["site"] == site]
        by_tile = site in tile_level
        cases = tile_predictions(rows) if by_tile else patient_predictions(rows, inputs.study.vote)
        evidence = _evidence(f"external-{place}", cases, [AUROC], inputs, names, external=True, by_tile=by_tile)
        level = "tile" if by_tile else "patient"
        found.append({**evidence, "site": site, "marks": names.site_marks(site), "level": level})
    return found


def by_seed(table: pd.DataFrame, inputs: Inputs, names: Labels, auroc: str, external: bool) -> list[Row]:
    """AUROC of each arm for each classifier seed, and its difference to the baseline's of the same seed.

    None where there is only one seed or no predictions.
    """
    table = table[~table["site"].isin(inputs.study.tile_level_sites)] if len(table) else table
    if table.empty or len(inputs.study.seeds) < 2:
        return []
    values: dict[str, dict[str, Any]] = {}
    for seed, rows in table.groupby("seed"):
        for arm, cases in patient_predictions(rows, inputs.study.vote).groupby("arm"):
            values.setdefault(str(arm), {})[str(seed)] = patient_metrics(cases)[auroc]
    baseline = values.get(BASELINE, {})
    return [
        {
            "arm": arm,
            "marks": names.arm_marks(arm, external),
            "values": [
                _seed_cell(values[arm].get(str(seed)), None if arm == BASELINE else baseline.get(str(seed)))
                for seed in inputs.study.seeds
            ],
        }
        for arm in inputs.study.arms
        if arm in values
    ]


def _seed_cell(value: float | None, baseline: float | None) -> str:
    return fraction(value) + (f" ({value - baseline:+.3f})" if value is not None and baseline is not None else "")


def _evidence(
    name: str,
    cases: pd.DataFrame,
    aurocs: Sequence[str],
    inputs: Inputs,
    names: Labels,
    external: bool,
    by_tile: bool = False,
) -> dict[str, Any]:
    """One table with its confusion matrices and ties.

    Args:
        name: Id of the table.
        cases: One row per arm and case, or tile.
        aurocs: The kinds of AUROC that are shown, the chief one first.
        inputs: The study.
        names: Its names.
        external: Whether the classifiers of fold `all` made it.
        by_tile: Tiles stand for cases; they are not independent, so there are no intervals.
    """
    auroc = aurocs[0]
    columns = [*_CORE, auroc, *_CALIBRATION, *aurocs[1:]]
    rows, confusions, scalars = [], [], {}
    for arm in inputs.study.arms:
        own = cases[cases["arm"] == arm]
        if own.empty:
            continue
        measured = patient_metrics(own)
        intervals = {} if by_tile else _intervals(own, measured)
        shared = {"arm": arm, "marks": names.arm_marks(arm, external)}
        cells = {column: _cell(measured[column], intervals.get(column)) for column in columns}
        count = str(len(own)) if by_tile else f"{_patients(own)} / {len(own)}"
        rows.append(
            {
                **shared,
                "constant": False,
                "cells": [_text(count), *cells.values()],
                "strip": cells[auroc],
            }
        )
        confusions.append({**shared, "classes": inputs.class_names, **_confusion(own)})
        scalars[arm] = {column: measured[column] for column in columns}
    baseline = cases[cases["arm"] == cases["arm"].iloc[0]]
    for constant in constant_predictors(baseline, (inputs.class_names[0], inputs.class_names[1])):
        intervals = {} if by_tile else _wilson(baseline, constant)
        cells = {column: _cell(constant[column], intervals.get(column)) for column in columns}
        rows.append(
            {
                "arm": constant["arm"],
                "marks": [],
                "constant": True,
                "cells": [_text(""), *cells.values()],
                "strip": cells[auroc],
            }
        )
    heads = ["tiles" if by_tile else "patients / cases", *(_HEADS[column] for column in columns)]
    if len(aurocs) > 1:
        heads[-1] = "AUROC, folds pooled"
    positives = int(baseline["class"].sum())
    return {
        "table": {"id": name, "columns": heads, "rows": rows, "strip": _HEADS[auroc]},
        "confusions": confusions,
        "ties": [] if by_tile else _ties(cases, names),
        "several_cases": not by_tile and _patients(baseline) < len(baseline),
        "diagnoses": None if by_tile else diagnoses(cases, inputs, names, external),
        "sites": None if by_tile else sites(cases, inputs, names, external),
        "counts": [positives, len(baseline) - positives],
        "detectable": None if by_tile else detectable_auroc(positives, len(baseline) - positives),
        "scalars": scalars,
    }


def _patients(cases: pd.DataFrame) -> int:
    return len(cases[["site", "patient"]].drop_duplicates())


def _intervals(cases: pd.DataFrame, measured: dict[str, Any]) -> dict[str, Interval]:
    return metric_intervals(cases) | _wilson(cases, measured)


def _wilson(cases: pd.DataFrame, measured: dict[str, Any]) -> dict[str, Interval]:
    positives = int(cases["class"].sum())
    counts = dict(zip(_PROPORTIONS, (len(cases), positives, len(cases) - positives), strict=True))
    return {name: wilson_interval(round((measured[name] or 0) * n), n) for name, n in counts.items()}


def _text(text: str) -> Row:
    return {"text": text, "interval": ""}


def _cell(value: Any, interval: Interval | None) -> Row:
    known = interval is not None and interval.low is not None
    return {
        "text": fraction(value),
        "interval": f"{fraction(interval.low, 2)}–{fraction(interval.high, 2)}" if interval and known else "",
        "value": value,
        "low": interval.low if interval and known else None,
        "high": interval.high if interval and known else None,
    }


def _confusion(cases: pd.DataFrame) -> Row:
    counts = [
        [int(((cases["class"] == truth) & (cases["pred_class"] == said)).sum()) for said in (0, 1)] for truth in (0, 1)
    ]
    shade = [[round(0.5 * one / max(sum(row), 1), 3) for one in row] for row in counts]
    return {"counts": counts, "shade": shade}


def _ties(cases: pd.DataFrame, names: Labels) -> list[Row]:
    tied = cases[cases["tie"]]
    return [
        {"arm": arm, "cases": ", ".join(sorted(names.cases.get(case, "unnamed case") for case in rows["case"]))}
        for arm, rows in tied.groupby("arm", sort=False)
    ]
