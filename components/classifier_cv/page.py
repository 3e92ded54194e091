"""A self-contained page of one fold: curves arm by arm, what the test tiles were called, and what was counted."""

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd

from components.core.html.css import PAGE_CSS
from components.core.html.lines import line_chart

_STYLE = """
figure.matrix { display: inline-block; margin: 0 1.5rem 1rem 0 } figure.matrix figcaption { font-weight: 600 }
.charts { grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)) }
"""


def page_html(
    title: str,
    notes: Sequence[str],
    counts: Sequence[dict[str, Any]],
    arms: Sequence[dict[str, Any]],
    history: Sequence[dict[str, Any]],
    predictions: pd.DataFrame,
    names: Sequence[str],
) -> str:
    """The page as HTML.

    Args:
        title: What this fold is.
        notes: What must be known before the numbers.
        counts: A row per part of the fold: part, patients, tiles.
        arms: The record's table "arms".
        history: The record's table "history".
        predictions: Rows of the test tiles; may be empty.
        names: Of class 0 and class 1.
    """
    marks = sorted({row["mark"] for row in arms if row["mark"]})
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        *(f'<p class="bad">{html.escape(note)}</p>' for note in (*notes, *marks)),
        "<h2>Patients and tiles</h2>",
        _table(counts),
        "<h2>Arms</h2>",
        _table(arms),
        "<h2>Curves</h2><p>Losses by epoch; the dashed line is the epoch whose weights stayed.</p>",
        f'<div class="charts">{"".join(_curves(row, history) for row in arms)}</div>',
        "<h2>Test tiles</h2>",
        _confusions(predictions, names),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{PAGE_CSS}{_STYLE}</style>\n<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _table(rows: Sequence[dict[str, Any]]) -> str:
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in rows[0])
    lines = ["<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row.values()) + "</tr>" for row in rows]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return html.escape(f"{value:.3f}" if isinstance(value, float) else str(value))


def _curves(arm: dict[str, Any], history: Sequence[dict[str, Any]]) -> str:
    rows = [row for row in history if (row["arm"], row["seed"]) == (arm["arm"], arm["seed"])]
    lines = {
        said: [(row["epoch"], row[key]) for row in rows]
        for said, key in (("training", "train_loss"), ("validation", "val_loss"))
    }
    return line_chart(f"{arm['arm']}, seed {arm['seed']}", lines, "epochs", chosen=arm["best_epoch"])


def _confusions(predictions: pd.DataFrame, names: Sequence[str]) -> str:
    if predictions.empty:
        return "<p>This fold has no test patients.</p>"
    parts = []
    for (arm, seed), rows in predictions.groupby(["arm", "seed"], sort=False):
        matrix = [
            {"truth": names[truth], **{f"called {names[k]}": int((told == k).sum()) for k in (0, 1)}}
            for truth in (0, 1)
            for told in [rows.loc[rows["class"] == truth, "pred_class"]]
        ]
        caption = html.escape(f"{arm}, seed {seed}")
        parts.append(f"<figure class=matrix><figcaption>{caption}</figcaption>{_table(matrix)}</figure>")
    return "".join(parts)
