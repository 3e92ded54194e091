"""The table of the domain gap, which two pages show."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from components.core.html.number_format import significant
from components.core.html.render import render_part
from components.core.html.table import Cell

_CHANGE = {
    "fell": Markup('<span class="small good">gap fell</span>'),
    "rose": Markup('<span class="small bad">gap rose</span>'),
    "not shown": Markup('<span class="small soft">no change shown</span>'),
}


def gap_table(gap: pd.DataFrame, marks: Mapping[str, Sequence[str]] | None = None) -> Markup:
    """The domain gap as a table: a row per site and measure, a column for the source alone and for each arm.

    Args:
        gap: Rows of `domain_gap.csv`: source, target, metric, value, low, high, with_arm, gap; missing text is ''.
        marks: Site -> warnings beside its numbers.
    """
    if gap.empty:
        return Markup("<p>No external site has enough tiles, so there is no gap to measure.</p>")
    arms = [arm for arm in gap["with_arm"].drop_duplicates() if arm]
    rows = []
    for (source, target), of_pair in gap.groupby(["source", "target"], sort=False):
        warnings = [mark for site in (source, target) for mark in (marks or {}).get(str(site), [])]
        domains = Cell(f"{source} → {target}", marks=list(dict.fromkeys(warnings)), is_number=False)
        for metric, of_metric in of_pair.groupby("metric", sort=False):
            by_arm = {row["with_arm"]: row for row in of_metric.to_dict("records")}
            rows.append([domains, str(metric), *(_value(by_arm.get(arm)) for arm in ["", *arms])])
    headings = ["domains", "measure", "source alone", *(f"+ {arm}" for arm in arms)]
    return render_part(__package__, "gap_table.html.j2", headings=headings, rows=rows)


def _value(row: Mapping[Any, Any] | None) -> Cell | None:
    if row is None or pd.isna(row["value"]):
        return None
    interval = "" if pd.isna(row["low"]) else f"{significant(row['low'])} to {significant(row['high'])}"
    return Cell(significant(row["value"]), interval, remark=_CHANGE.get(row["gap"], ""))
