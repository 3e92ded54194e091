"""Correct cases by diagnosis and by site: a row each, a cell per arm."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from components.core.html.number_format import fraction
from components.core.html.table import Cell
from components.core.statistics.breakdown import by_diagnosis, by_site
from components.report.inputs import ReportInputs
from components.report.labels import Labels

NO_CASES = Cell("–")


def diagnosis_table(cases: pd.DataFrame, inputs: ReportInputs, labels: Labels, external: bool) -> dict[str, Any]:
    """Headings and rows by diagnosis and class; no rows where no case has a diagnosis."""
    return _table(cases, inputs, labels, external, by_diagnosis, "diagnosis")


def site_table(cases: pd.DataFrame, inputs: ReportInputs, labels: Labels, external: bool) -> dict[str, Any]:
    """Headings and rows by site; no rows where there is only one."""
    table = _table(cases, inputs, labels, external, by_site, "site")
    return table if len(table["rows"]) > 1 else {**table, "rows": []}


def _table(
    cases: pd.DataFrame,
    inputs: ReportInputs,
    labels: Labels,
    external: bool,
    group: Callable[[pd.DataFrame], list[dict[str, Any]]],
    key: str,
) -> dict[str, Any]:
    of_arm = {arm: group(rows) for arm, rows in cases.groupby("arm")}
    arms = [arm for arm in inputs.study.arms if arm in of_arm]
    has_class = key == "diagnosis"
    counts: dict[tuple[str, str], dict[str, Cell]] = {}
    for arm in arms:
        for row in of_arm[arm]:
            class_name = inputs.class_names[row["class"]] if has_class else ""
            counts.setdefault((row[key], class_name), {})[arm] = _correct(row)
    rows = []
    for (name, class_name), cells in counts.items():
        marks = [] if has_class else labels.site_marks(name)
        head = Cell(name or "no name", marks=marks, is_number=False)
        rows.append([head, *([class_name] if has_class else []), *(cells.get(arm, NO_CASES) for arm in arms)])
    headings = [Cell(arm, marks=labels.arm_marks(arm, external)) for arm in arms]
    return {"headings": [key, *(["class"] if has_class else []), *headings], "rows": rows}


def _correct(row: dict[str, Any]) -> Cell:
    """How many of how many, and below it the interval or the AUROC."""
    if "correct" in row:
        interval = f"{fraction(row['accuracy_low'], 2)}–{fraction(row['accuracy_high'], 2)}"
        return Cell(f"{row['correct']} of {row['cases']}", interval)
    return Cell(f"{round(row['accuracy'] * row['n'])} of {row['n']}", f"AUROC {fraction(row['auroc'])}")
