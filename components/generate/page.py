"""The page of a synthetic set: real beside generated, what the near-copy gate saw, how classes came out, its card."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.core.data.archive import Pixels
from components.core.html.card import Card, card_section
from components.core.html.css import PAGE_CSS
from components.core.html.pictures import data_uri, image_grid, resize

_TILE_PX, _COLUMNS = 72, 6
_STYLE = """
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 24px } img { max-width: 100% }
.pairs { display: flex; flex-wrap: wrap; gap: 14px } .pairs figure { margin: 0 }
p.mark { display: table }
figcaption { font-size: 12px; color: var(--soft) } table.card td { vertical-align: top }
table.card td:first-child { width: 230px; white-space: nowrap }
"""
_ARMS = {"arm": "arm", "name": "class", "label": "label", "train_tiles": "training tiles", "added": "added"}
_FIDELITY = {
    "name": "class",
    "generated": "generated",
    "recognised": "recognised",
    "held_out": "held-out tiles",
    "held_out_recognised": "of them recognised",
    "spread": "spread, of real",
}
_SHARES = ("recognised", "held_out_recognised", "spread")


@dataclass(frozen=True)
class Pair:
    """A generated image, its nearest training tile and how near it is: `ratio` and `apart` of `memorisation`."""

    generated: Pixels
    real: Pixels
    ratio: float
    apart: float


def draw_page(
    heading: str,
    said: Sequence[str],
    marks: Sequence[str],
    arms: Sequence[dict[str, Any]],
    fidelity: Sequence[dict[str, Any]],
    samples: Mapping[str, tuple[Sequence[Pixels], Sequence[Pixels]]],
    dropped: Sequence[Pair],
    closest: Sequence[Pair],
    card: Card,
) -> str:
    """The whole page, nothing outside it needed.

    Args:
        heading: Its title.
        said: Sentences on what was drawn and how.
        marks: What every later number carries, and alarms; shown first, in red.
        arms: The record's table of arms.
        fidelity: The record's table of classes, rows of `fidelity_row`.
        samples: Class name -> real tiles, generated tiles.
        dropped: Near-copies.
        closest: The nearest of the kept images.
        card: The set's.
    """
    shown = "".join(f'<p class="mark">{html.escape(mark)}</p>' for mark in marks)
    text = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in said)
    grids = "".join(
        f'<h3>{html.escape(name)}</h3><div class="two">{_grid("real", real)}{_grid("generated", made)}</div>'
        for name, (real, made) in samples.items()
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(heading)}</title>'
        f"<style>{PAGE_CSS}{_STYLE}</style></head><body><main><h1>{html.escape(heading)}</h1>{shown}{text}"
        f"<h2>Images per arm</h2>{_table(arms, _ARMS)}{_classes(fidelity)}<h2>Samples</h2>{grids}"
        f"<h2>Near-copies</h2>{_pairs('Dropped', dropped)}"
        f"{_pairs('Kept, and nearest to a training tile', closest)}{card_section(card, 'synthetic-card.json')}"
        "</main></body></html>\n"
    )


def _classes(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    return (
        f"<h2>Classes</h2>{_table(rows, _FIDELITY)}<p class='small soft'>Recognised: the share that a logistic "
        "regression, which learnt the classes from features of the training tiles, takes for their class; beside it "
        "the same of held-out real tiles. Spread: how far apart a class's tiles lie in these features; 100 % = as real "
        "ones.</p>"
    )


def _table(rows: Sequence[dict[str, Any]], columns: Mapping[str, str]) -> str:
    head = "".join(f"<th>{name}</th>" for name in columns.values())
    body = "".join(f"<tr>{''.join(f'<td>{_cell(name, row[name])}</td>' for name in columns)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.0%}" if name in _SHARES else html.escape(str(value))


def _grid(label: str, tiles: Sequence[Pixels]) -> str:
    picture = _picture(tiles, label) if tiles else ""
    return f"<figure style='margin:0'>{picture}<figcaption>{label}</figcaption></figure>"


def _pairs(title: str, pairs: Sequence[Pair]) -> str:
    if not pairs:
        return ""
    figures = "".join(
        f"<figure>{_picture([pair.generated, pair.real], 'generated and real')}"
        f"<figcaption>ratio {pair.ratio:.2f} · {pair.apart:.2f} apart</figcaption></figure>"
        for pair in pairs
    )
    return f"<h3>{title}: generated left, nearest training tile right</h3><div class='pairs'>{figures}</div>"


def _picture(tiles: Sequence[Pixels], label: str) -> str:
    grid = image_grid([resize(tile, _TILE_PX) for tile in tiles], columns=_COLUMNS)
    return f'<img alt="{label}" src="{data_uri(grid, "JPEG")}">'
