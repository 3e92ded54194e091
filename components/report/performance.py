"""Tables of performance: cross-validation, each external site, and constant answers in the same table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from markupsafe import Markup

from components.core.html.number_format import fraction
from components.core.html.render import render_part
from components.core.html.table import Cell, TableRow
from components.core.statistics.intervals import Interval, metric_intervals, wilson_interval
from components.core.statistics.metrics import constant_predictors, patient_metrics
from components.core.statistics.patients import patient_predictions, tile_predictions
from components.core.statistics.power import detectable_auroc
from components.report.breakdown import diagnosis_table, site_table
from components.report.inputs import ReportInputs
from components.report.labels import Labels

BASELINE = "none"
AUROC_IN_FOLDS, AUROC_IN_SITES, AUROC = "auroc_within_folds", "auroc_within_sites", "auroc"
# proportions whose denominator is fixed: n, the positives, the negatives
_PROPORTIONS = ("accuracy", "sensitivity", "specificity")
_HEADINGS = {
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


@dataclass(frozen=True)
class Evidence:
    """One table of performance with its confusion matrices, breakdowns and ties.

    Attributes:
        id: Id of the table.
        headings: Headings of the table.
        rows: Every arm, then every constant answer.
        confusions: Confusion matrix of every arm.
        ties: (arm, cases with a tied vote) of the arms that have any.
        has_several_cases: Whether a patient has several cases.
        diagnoses: Correct cases by diagnosis; None at tile level.
        sites: Correct cases by site; None at tile level.
        counts: Cases of class 1 and of class 0.
        detectable: Smallest AUROC that so many cases show; None = none, or tile level.
        metrics: Arm -> metric -> value, for the record.
        site: Name of the site; '' = cross-validation.
        level: Unit of the numbers: "patient" or "tile".
        marks: Warnings beside all of it.
    """

    id: str
    headings: list[Any]
    rows: list[TableRow]
    confusions: list[dict[str, Any]]
    ties: list[tuple[str, str]]
    has_several_cases: bool
    diagnoses: dict[str, Any] | None
    sites: dict[str, Any] | None
    counts: tuple[int, int]
    detectable: float | None
    metrics: dict[str, dict[str, float | None]]
    site: str = ""
    level: str = "patient"
    marks: list[str] = field(default_factory=list)


def cross_validation(inputs: ReportInputs, labels: Labels) -> Evidence | None:
    """The out-of-fold table of all arms; None without predictions."""
    if inputs.predictions.empty:
        return None
    cases = patient_predictions(inputs.predictions, inputs.study.vote)
    marks = labels.marks_of(sorted(set(cases["site"])))
    return _evidence("cv", cases, [AUROC_IN_FOLDS, AUROC], inputs, labels, marks=marks)


def external_sites(inputs: ReportInputs, labels: Labels) -> list[Evidence]:
    """Evidence per external site, those with patients first; and, where several have them, of all together."""
    table = inputs.external_predictions
    if table.empty:
        return []
    tile_level = [site for site in inputs.study.tile_level_sites if (table["site"] == site).any()]
    voted = [site for site in table["site"].drop_duplicates() if site not in tile_level]
    evidence = []
    if len(voted) > 1:
        cases = patient_predictions(table[table["site"].isin(voted)], inputs.study.vote)
        site, marks = f"All {len(voted)} sites", labels.marks_of(voted)
        evidence.append(_evidence("external-all", cases, [AUROC_IN_SITES], inputs, labels, site=site, marks=marks))
    for number, site in enumerate([*voted, *tile_level]):
        rows, level = table[table["site"] == site], "tile" if site in tile_level else "patient"
        cases = tile_predictions(rows) if level == "tile" else patient_predictions(rows, inputs.study.vote)
        marks = labels.site_marks(site)
        evidence.append(
            _evidence(f"external-{number}", cases, [AUROC], inputs, labels, site=site, level=level, marks=marks)
        )
    return evidence


def auroc_by_seed(
    table: pd.DataFrame, inputs: ReportInputs, labels: Labels, auroc: str, external: bool
) -> list[list[Any]]:
    """Rows of the AUROC of each arm for each classifier seed, and its difference to the baseline's of the same seed.

    No rows where there is only one seed or no predictions.
    """
    table = table[~table["site"].isin(inputs.study.tile_level_sites)] if len(table) else table
    if table.empty or len(inputs.study.seeds) < 2:
        return []
    values: dict[str, dict[str, Any]] = {}
    for seed, rows in table.groupby("seed"):
        for arm, cases in patient_predictions(rows, inputs.study.vote).groupby("arm"):
            values.setdefault(str(arm), {})[str(seed)] = patient_metrics(cases)[auroc]
    baseline = values.get(BASELINE, {})
    seeds = [str(seed) for seed in inputs.study.seeds]
    return [
        [
            Cell(arm, marks=labels.arm_marks(arm, external), is_number=False),
            *(_seed_cell(values[arm].get(seed), None if arm == BASELINE else baseline.get(seed)) for seed in seeds),
        ]
        for arm in inputs.study.arms
        if arm in values
    ]


def _seed_cell(value: float | None, baseline: float | None) -> Cell:
    against = f" ({value - baseline:+.3f})" if value is not None and baseline is not None else ""
    return Cell(fraction(value) + against)


def _evidence(
    id: str,
    cases: pd.DataFrame,
    aurocs: Sequence[str],
    inputs: ReportInputs,
    labels: Labels,
    *,
    site: str = "",
    level: str = "patient",
    marks: list[str],
) -> Evidence:
    """One table with its confusion matrices and ties.

    Args:
        id: Id of the table.
        cases: One row per arm and case, or tile.
        aurocs: The kinds of AUROC that are shown, the chief one first.
        inputs: The study.
        labels: Its names and marks.
        site: Name of the external site, whose classifiers are those of fold `all`; '' = cross-validation.
        level: "patient", or "tile": tiles are not independent, so there are no intervals.
        marks: Warnings beside all of it.
    """
    by_tile, external = level == "tile", site != ""
    auroc = aurocs[0]
    columns = [*_CORE, auroc, *_CALIBRATION, *aurocs[1:]]
    rows, confusions, metrics = [], [], {}
    for arm in inputs.study.arms:
        of_arm = cases[cases["arm"] == arm]
        if of_arm.empty:
            continue
        measured = patient_metrics(of_arm)
        intervals = {} if by_tile else metric_intervals(of_arm) | _wilson(of_arm, measured)
        arm_marks = labels.arm_marks(arm, external)
        count = str(len(of_arm)) if by_tile else f"{_count_patients(of_arm)} / {len(of_arm)}"
        rows.append(_row(Cell(arm, marks=arm_marks, is_number=False), count, measured, intervals, columns, auroc))
        confusions.append({"arm": arm, "marks": arm_marks, **_confusion(of_arm)})
        metrics[arm] = {column: measured[column] for column in columns}
    baseline = cases[cases["arm"] == cases["arm"].iloc[0]]
    for constant in constant_predictors(baseline, (inputs.class_names[0], inputs.class_names[1])):
        intervals = {} if by_tile else _wilson(baseline, constant)
        name = Cell(str(constant["arm"]), is_number=False)
        rows.append(_row(name, "", constant, intervals, columns, auroc, "constant"))
    headings = ["tiles" if by_tile else "patients / cases", *(_HEADINGS[column] for column in columns)]
    if len(aurocs) > 1:
        headings[-1] = "AUROC, folds pooled"
    positives = int(baseline["class"].sum())
    negatives = len(baseline) - positives
    return Evidence(
        id=id,
        headings=["arm", *headings, Cell(f"{_HEADINGS[auroc]}, 0 to 1", css_class="strip")],
        rows=rows,
        confusions=confusions,
        ties=[] if by_tile else _ties(cases, labels),
        has_several_cases=not by_tile and _count_patients(baseline) < len(baseline),
        diagnoses=None if by_tile else diagnosis_table(cases, inputs, labels, external),
        sites=None if by_tile else site_table(cases, inputs, labels, external),
        counts=(positives, negatives),
        detectable=None if by_tile else detectable_auroc(positives, negatives),
        metrics=metrics,
        site=site,
        level=level,
        marks=marks,
    )


def _row(
    name: Cell,
    count: str,
    measured: dict[str, Any],
    intervals: dict[str, Interval],
    columns: Sequence[str],
    auroc: str,
    css_class: str = "",
) -> TableRow:
    values = [_value(measured[column], intervals.get(column)) for column in columns]
    strip = Cell(_strip(measured[auroc], intervals.get(auroc)), is_number=False, css_class="strip")
    return TableRow([name, Cell(count), *values, strip], css_class, [("arm", str(name.text))])


def _value(value: float | None, interval: Interval | None) -> Cell:
    if interval is None or interval.low is None:
        return Cell(fraction(value))
    return Cell(fraction(value), f"{fraction(interval.low, 2)}–{fraction(interval.high, 2)}")


def _strip(value: float | None, interval: Interval | None) -> Markup:
    """The value and its interval as a dot and a line on the scale from 0 to 1; nothing where it is undefined."""
    if value is None:
        return Markup("")
    low, high = (interval.low, interval.high) if interval else (None, None)
    return render_part(__package__, "strip.html.j2", value=value, text=fraction(value), low=low, high=high)


def _count_patients(cases: pd.DataFrame) -> int:
    return len(cases[["site", "patient"]].drop_duplicates())


def _wilson(cases: pd.DataFrame, measured: dict[str, Any]) -> dict[str, Interval]:
    positives = int(cases["class"].sum())
    counts = dict(zip(_PROPORTIONS, (len(cases), positives, len(cases) - positives), strict=True))
    return {name: wilson_interval(round((measured[name] or 0) * n), n) for name, n in counts.items()}


def _confusion(cases: pd.DataFrame) -> dict[str, Any]:
    """Counts of actual by predicted class, and the shade of each cell by its share of the actual class."""
    counts = [
        [int(((cases["class"] == actual) & (cases["pred_class"] == predicted)).sum()) for predicted in (0, 1)]
        for actual in (0, 1)
    ]
    shade = [[round(0.5 * count / max(sum(row), 1), 3) for count in row] for row in counts]
    return {"counts": counts, "shade": shade}


def _ties(cases: pd.DataFrame, labels: Labels) -> list[tuple[str, str]]:
    tied = cases[cases["tie"]]
    return [
        (str(arm), ", ".join(sorted(labels.cases.get(case, "unnamed case") for case in rows["case"])))
        for arm, rows in tied.groupby("arm", sort=False)
    ]
