"""A self-contained page of one fold: curves arm by arm, what the test tiles were called, and what was counted."""

import html
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import pandas as pd

from components.core.figures.palette import colours

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 340, 170, 44, 26
_STYLE = (
    files("components.core.figures").joinpath("page.css").read_text(encoding="utf-8")
    + """
figure { display: inline-block; margin: 0 1.5rem 1rem 0 } figcaption { font-weight: 600 }
svg text { font-size: 11px; fill: var(--soft) }
"""
)


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
    colour = colours(list(dict.fromkeys(row["arm"] for row in arms)))
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        *(f'<p class="bad">{html.escape(note)}</p>' for note in (*notes, *marks)),
        "<h2>Patients and tiles</h2>",
        _table(counts),
        "<h2>Arms</h2>",
        _table(arms),
        "<h2>Curves</h2><p>Training loss dashed, validation loss solid; the dot is the epoch whose weights stayed.</p>",
        *(_figure(row, history, colour[row["arm"]]) for row in arms),
        "<h2>Test tiles</h2>",
        _confusions(predictions, names),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>\n<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _table(rows: Sequence[dict[str, Any]]) -> str:
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in rows[0])
    lines = ["<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row.values()) + "</tr>" for row in rows]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return html.escape(f"{value:.3f}" if isinstance(value, float) else str(value))


def _figure(arm: dict[str, Any], history: Sequence[dict[str, Any]], colour: str) -> str:
    """Both losses of one arm and seed, as inline SVG; the axis starts at zero."""
    rows = [row for row in history if (row["arm"], row["seed"]) == (arm["arm"], arm["seed"])]
    top = max(max(row["train_loss"], row["val_loss"]) for row in rows) * 1.05 or 1.0
    span = max(1, len(rows) - 1)

    def point(row: dict[str, Any], name: str) -> tuple[float, float]:
        x = _LEFT + (row["epoch"] - 1) / span * (_WIDTH - _LEFT - 8)
        return round(x, 1), round((_HEIGHT - _BOTTOM) * (1 - row[name] / top) + 4, 1)

    def line(name: str, dash: str) -> str:
        points = " ".join(f"{x},{y}" for x, y in (point(row, name) for row in rows))
        return (
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dash}"/>'
        )

    floor = _HEIGHT - _BOTTOM + 4
    x, y = point(rows[arm["best_epoch"] - 1], "val_loss")
    return (
        f"<figure><figcaption>{html.escape(arm['arm'])}, seed {arm['seed']}</figcaption>"
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="loss by epoch">'
        f'<path d="M{_LEFT},4V{floor}H{_WIDTH - 8}" fill="none" stroke="#c8ccd1"/>'
        f'<text x="{_LEFT - 6}" y="12" text-anchor="end">{top:.2f}</text>'
        f'<text x="{_LEFT - 6}" y="{floor}" text-anchor="end">0</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}">epoch 1</text>'
        f'<text x="{_WIDTH - 8}" y="{_HEIGHT - 6}" text-anchor="end">{len(rows)}</text>'
        f"{line('train_loss', '4 3')}{line('val_loss', 'none')}"
        f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/></svg></figure>'
    )


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
        parts.append(f"<figure><figcaption>{html.escape(f'{arm}, seed {seed}')}</figcaption>{_table(matrix)}</figure>")
    return "".join(parts)
