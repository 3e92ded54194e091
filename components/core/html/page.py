"""A self-contained HTML page, and the table of the domain gap that two pages show."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from components.core.html.css import PAGE_CSS
from components.core.html.plots import plotly_script

_MOST_DIGITS = 9
_CHANGE = {
    "fell": '<span class="small good">gap fell</span>',
    "rose": '<span class="small bad">gap rose</span>',
    "not shown": '<span class="small soft">no change shown</span>',
}


def document(title: str, body: str) -> str:
    """A whole page around `body` (finished HTML), with the style and plotly.js inside."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        f"<style>{PAGE_CSS}</style>{plotly_script()}</head>\n<body><main>{body}</main></body></html>\n"
    )


def significant(value: float | None, digits: int = 3) -> str:
    """A number to so many significant digits, large ones in full; a dash where there is none.

    What is below 1 is not written as 1: a share or an AUC of 0.9996 isn't perfect, so it gets the digits that say so.
    """
    if value is None or pd.isna(value):
        return "–"
    if abs(value) >= 10**digits:
        return f"{value:.0f}"
    text = f"{value:.{digits}g}"
    return significant(value, digits + 1) if abs(value) < 1 == abs(float(text)) and digits < _MOST_DIGITS else text


def gap_table(gap: pd.DataFrame, marks: Mapping[str, Sequence[str]] | None = None) -> str:
    """The domain gap as an HTML table: a row per site and measure, a column for the source alone and for each arm.

    Args:
        gap: Rows of `domain_gap.csv`: source, target, metric, value, low, high, with_arm, gap; missing text is ''.
        marks: Site -> what must stand beside its numbers.
    """
    if gap.empty:
        return "<p>No external site with enough tiles, so there is no gap to measure.</p>"
    arms = [arm for arm in gap["with_arm"].drop_duplicates() if arm]
    heads = "".join(
        f'<th class="number">{html.escape(name)}</th>' for name in ["source alone", *(f"+ {arm}" for arm in arms)]
    )
    lines = []
    for (source, target), rows in gap.groupby(["source", "target"], sort=False):
        badges = [one for site in (source, target) for one in (marks or {}).get(str(site), [])]
        where = html.escape(f"{source} → {target}")
        where += "".join(f'<span class="mark">{html.escape(one)}</span>' for one in dict.fromkeys(badges))
        for metric, same in rows.groupby("metric", sort=False):
            by_arm = {row["with_arm"]: row for row in same.to_dict("records")}
            cells = "".join(_cell(by_arm.get(arm)) for arm in ["", *arms])
            lines.append(f"<tr><td>{where}</td><td>{html.escape(str(metric))}</td>{cells}</tr>")
    return (
        '<div class="scroll"><table class="gap"><thead><tr><th>domains</th><th>measure</th>'
        f"{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(row: Mapping[Any, Any] | None) -> str:
    if row is None or pd.isna(row["value"]):
        return '<td class="number">–</td>'
    ends = f"{significant(row['low'])} to {significant(row['high'])}"
    interval = "" if pd.isna(row["low"]) else f'<br><span class="interval">{ends}</span>'
    change = f"<br>{_CHANGE[row['gap']]}" if row["gap"] in _CHANGE else ""
    return f'<td class="number">{significant(row["value"])}{interval}{change}</td>'
