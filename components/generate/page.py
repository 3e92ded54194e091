"""The page of a synthetic set: real beside generated, and what the near-copy gate saw."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from components.core.archive import Pixels
from components.core.figures.pictures import data_uri, image_grid, resized

_TILE_PX, _COLUMNS = 72, 6
_STYLE = """
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 24px } img { max-width: 100% }
.pairs { display: flex; flex-wrap: wrap; gap: 14px } .pairs figure { margin: 0 }
.mark { color: var(--red); font-weight: 600 }
figcaption { font-size: 12px; color: var(--soft) }
"""


@dataclass(frozen=True)
class Pair:
    """A generated image, its nearest training tile and how near: the ratio of `memorisation`."""

    generated: Pixels
    real: Pixels
    ratio: float


def draw_page(
    heading: str,
    said: Sequence[str],
    marks: Sequence[str],
    arms: Sequence[dict[str, object]],
    samples: Mapping[str, tuple[Sequence[Pixels], Sequence[Pixels]]],
    dropped: Sequence[Pair],
    closest: Sequence[Pair],
) -> str:
    """The whole page, nothing outside it needed.

    Args:
        heading: Its title.
        said: Sentences on what was drawn and how.
        marks: What every later number carries; shown first, in red.
        arms: The record's table of arms.
        samples: Class name -> real tiles, generated tiles.
        dropped: Near-copies.
        closest: The nearest of the kept images.
    """
    css = (files("components.core.figures") / "page.css").read_text(encoding="utf-8")
    shown = "".join(f'<p class="mark">{html.escape(mark)}</p>' for mark in marks)
    text = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in said)
    grids = "".join(
        f'<h3>{html.escape(name)}</h3><div class="two">{_grid("real", real)}{_grid("generated", made)}</div>'
        for name, (real, made) in samples.items()
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(heading)}</title>'
        f"<style>{css}{_STYLE}</style></head><body><main><h1>{html.escape(heading)}</h1>{shown}{text}"
        f"<h2>Images per arm</h2>{_table(arms)}<h2>Samples</h2>{grids}"
        f"<h2>Near-copies</h2>{_pairs('Dropped', dropped)}"
        f"{_pairs('Kept, and nearest to a training tile', closest)}</main></body></html>\n"
    )


def _table(rows: Sequence[dict[str, object]]) -> str:
    names = ("arm", "name", "label", "train_tiles", "added")
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(str(row[name]))}</td>' for name in names)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _grid(label: str, tiles: Sequence[Pixels]) -> str:
    picture = _picture(tiles, label) if tiles else ""
    return f"<figure style='margin:0'>{picture}<figcaption>{label}</figcaption></figure>"


def _pairs(title: str, pairs: Sequence[Pair]) -> str:
    if not pairs:
        return ""
    figures = "".join(
        f"<figure>{_picture([pair.generated, pair.real], 'generated and real')}"
        f"<figcaption>ratio {pair.ratio:.2f}</figcaption></figure>"
        for pair in pairs
    )
    return f"<h3>{title}: generated left, nearest training tile right</h3><div class='pairs'>{figures}</div>"


def _picture(tiles: Sequence[Pixels], label: str) -> str:
    grid = image_grid([resized(tile, _TILE_PX) for tile in tiles], columns=_COLUMNS)
    return f'<img alt="{label}" src="{data_uri(grid, "JPEG")}">'
