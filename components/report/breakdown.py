"""Cases told right by diagnosis and by site: a row each, a cell per arm."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from components.core.html.number_format import fraction
from components.core.statistics.breakdown import by_diagnosis, by_site
from components.report.inputs import Inputs, Row
from components.report.labels import Labels


def diagnoses(cases: pd.DataFrame, inputs: Inputs, names: Labels, external: bool) -> Row:
    """By diagnosis and class."""
    return _table(cases, inputs, names, external, by_diagnosis, "diagnosis")


def sites(cases: pd.DataFrame, inputs: Inputs, names: Labels, external: bool) -> Row:
    """By site; no rows where there is only one."""
    table = _table(cases, inputs, names, external, by_site, "site")
    return table if len(table["rows"]) > 1 else {**table, "rows": []}


def _table(
    cases: pd.DataFrame,
    inputs: Inputs,
    names: Labels,
    external: bool,
    grouped: Callable[[pd.DataFrame], list[Row]],
    key: str,
) -> Row:
    found = {arm: grouped(rows) for arm, rows in cases.groupby("arm")}
    arms = [arm for arm in inputs.study.arms if arm in found]
    rows: dict[Any, Row] = {}
    for arm in arms:
        for one in found[arm]:
            of_class = inputs.class_names[one["class"]] if "class" in one else ""
            marks = names.site_marks(one[key]) if key == "site" else []
            row = rows.setdefault(
                (one[key], of_class), {"name": one[key], "marks": marks, "class_name": of_class, "cells": {}}
            )
            row["cells"][arm] = _right(one)
    return {
        "heads": [{"arm": arm, "marks": names.arm_marks(arm, external)} for arm in arms],
        "rows": [{**row, "cells": [row["cells"].get(arm, ("–", "")) for arm in arms]} for row in rows.values()],
    }


def _right(one: Row) -> tuple[str, str]:
    """How many of how many, and what stands below it."""
    if "correct" in one:
        ends = f"{fraction(one['accuracy_low'], 2)}–{fraction(one['accuracy_high'], 2)}"
        return f"{one['correct']} of {one['cases']}", ends
    return f"{round(one['accuracy'] * one['n'])} of {one['n']}", f"AUROC {fraction(one['auroc'])}"
