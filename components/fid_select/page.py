"""The page of a generator: its card, distances over the training, the table, and what each snapshot draws."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components.core.data.archive import Pixels
from components.core.html.card import Card, card_section
from components.core.html.css import PAGE_CSS
from components.core.html.lines import Line, line_chart
from components.core.html.pictures import data_uri, image_grid, resize
from components.fid_select.measure import COVERAGE

_MOST_SNAPSHOTS = 8
_TILE_PX = 64
_STYLE = """
tr.chosen td { background: var(--wash); font-weight: 600 } .note { color: var(--red); font-weight: 600 }
.strip { display: flex; align-items: center; gap: 12px; margin: 4px 0 } .strip span { width: 88px; flex: none }
.strip img { max-width: 100% } table.card td { vertical-align: top }
table.card td:first-child { width: 230px; white-space: nowrap }
"""
_COLUMNS = {
    "images": "images",
    "fid": "FID",
    "kid": "KID",
    "fid_held_out": "FID held out",
    "kid_held_out": "KID held out",
    **{name: name for name in COVERAGE},
}


def shown_places(snapshots: int, chosen: int) -> list[int]:
    """Places of the snapshots whose images the page shows: a few, evenly spread, and the chosen one."""
    spread = np.linspace(0, snapshots - 1, min(_MOST_SNAPSHOTS, snapshots))
    return sorted({int(place) for place in spread} | {chosen})


def draw_page(
    heading: str,
    card: Card,
    measured_with: str,
    reason: str,
    notes: Sequence[str],
    rows: Sequence[dict[str, Any]],
    reals: Mapping[str, Sequence[Pixels]],
    fakes: Mapping[int, Mapping[str, Sequence[Pixels]]],
) -> str:
    """The whole page, nothing outside it needed.

    Args:
        heading: Its title.
        card: The generator's.
        measured_with: The extractor, image count and seed behind every number.
        reason: Why the chosen snapshot was chosen.
        notes: What a reader must know; shown first.
        rows: The table, one row per snapshot.
        reals: Class name -> training tiles.
        fakes: Place of a snapshot -> class name -> images of the same seeds.
    """
    chosen = next(place for place, row in enumerate(rows) if row["chosen"])
    marks = "".join(f'<p class="note">{html.escape(note)}</p>' for note in notes)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(heading)}</title>'
        f"<style>{PAGE_CSS}{_STYLE}</style></head><body><main><h1>{html.escape(heading)}</h1>{marks}"
        f"<p>Chosen: {html.escape(reason)}.</p><p class='soft small'>{html.escape(measured_with)} Distances of "
        "different extractors, sizes or image counts do not compare, nor with published FIDs.</p>"
        f"<h2>Over the training</h2>{_charts(rows, rows[chosen]['kimg'])}"
        f"<h2>Every snapshot</h2><p class='small soft'>± is one standard error. A dash: not measured in the first "
        f"round, or a set that is too small.</p>{_tables(rows)}<h2>What they draw</h2><p class='soft'>The same seeds "
        f"in every row.</p>{_strips(rows, chosen, reals, fakes)}{card_section(card, 'generator-card.json')}"
        "</main></body></html>\n"
    )


def _charts(rows: Sequence[dict[str, Any]], chosen_kimg: float) -> str:
    def line(key: str) -> Line:
        return [(row["kimg"], row[key]) for row in rows]

    def by_class(key: str) -> dict[str, Line]:
        return {
            one["name"]: [(row["kimg"], row["classes"][place][key]) for row in rows]
            for place, one in enumerate(rows[0]["classes"])
        }

    charts = (
        ("FID", {"training": line("fid"), "held out": line("fid_held_out")}),
        ("KID", {"training": line("kid"), "held out": line("kid_held_out")}),
        ("KID to the training tiles, per class", by_class("kid")),
        ("KID to the held-out tiles, per class", by_class("kid_held_out")),
        ("Precision and recall", {"precision": line("precision"), "recall": line("recall")}),
        ("Density and coverage", {"density": line("density"), "coverage": line("coverage")}),
        ("Recall, per class", by_class("recall")),
        ("Coverage, per class", by_class("coverage")),
    )
    drawn = (line_chart(title, lines, "kimg", chosen=chosen_kimg) for title, lines in charts)
    return f'<div class="charts">{"".join(drawn)}</div>'


def _tables(rows: Sequence[dict[str, Any]]) -> str:
    parts = [_table(rows, rows)]
    for place, one in enumerate(rows[0]["classes"]):
        parts.append(f"<h3>{html.escape(one['name'])}</h3>{_table(rows, [row['classes'][place] for row in rows])}")
    return "".join(parts)


def _table(rows: Sequence[dict[str, Any]], values: Sequence[dict[str, Any]]) -> str:
    """One table: `rows` say which snapshot a line is of, `values` what stands in it."""
    head = "".join(f'<th class="number">{name}</th>' for name in ("kimg", *_COLUMNS.values()))
    lines = []
    for row, of_row in zip(rows, values, strict=True):
        cells = [f'<td class="number">{row["kimg"]:g}</td>']
        for key in _COLUMNS:
            error = of_row.get(f"{key}_se")
            spread = f" <span class=interval>± {error:.2g}</span>" if error is not None else ""
            value = "–" if of_row[key] is None else f"{of_row[key]:.4g}"
            cells.append(f'<td class="number">{value}{spread}</td>')
        lines.append(f"<tr{' class=chosen' if row['chosen'] else ''}>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _strips(
    rows: Sequence[dict[str, Any]],
    chosen: int,
    reals: Mapping[str, Sequence[Pixels]],
    fakes: Mapping[int, Mapping[str, Sequence[Pixels]]],
) -> str:
    parts = []
    for name, tiles in reals.items():
        parts.append(f"<h3>{html.escape(name)}</h3>{_strip('real', tiles)}")
        for place, drawn in fakes.items():
            label = f"{rows[place]['kimg']:g} kimg" + (" ✓" if place == chosen else "")
            parts.append(_strip(label, drawn[name]))
    return "".join(parts)


def _strip(label: str, tiles: Sequence[Pixels]) -> str:
    grid = image_grid([resize(tile, _TILE_PX) for tile in tiles], columns=len(tiles))
    return (
        f'<div class="strip"><span class="small">{label}</span><img alt="{label}" src="{data_uri(grid, "JPEG")}"></div>'
    )
