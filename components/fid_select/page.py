"""The page of a generator: its card, distances over the training, the table, and what each snapshot draws."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components.core.data.images import Pixels
from components.core.html.card import Card, card_section
from components.core.html.lines import Line, line_chart
from components.core.html.pictures import data_uri, image_grid, resize
from components.core.html.render import render_page
from components.core.html.table import DASH, Cell, TableRow
from components.core.records.fid_select import Distances, SelectionRecord, SnapshotRow
from components.fid_select.measure import COVERAGE

_MOST_SNAPSHOTS = 8
_TILE_PX = 64
_COLUMNS = {
    "images": "images",
    "fid": "FID",
    "kid": "KID",
    "fid_held_out": "FID held out",
    "kid_held_out": "KID held out",
    **{name: name for name in COVERAGE},
}


def page_snapshots(snapshots: int, chosen: int) -> list[int]:
    """Places of the snapshots whose images the page has: a few, evenly spread, and the chosen one."""
    spread = np.linspace(0, snapshots - 1, min(_MOST_SNAPSHOTS, snapshots))
    return sorted({int(place) for place in spread} | {chosen})


def page_html(
    heading: str,
    card: Card,
    measured_with: str,
    selection: SelectionRecord,
    reals: Mapping[str, Sequence[Pixels]],
    fakes: Mapping[int, Mapping[str, Sequence[Pixels]]],
) -> str:
    """The page as HTML.

    Args:
        heading: Title of the page.
        card: The generator's card.
        measured_with: Extractor, image count and seed behind every number.
        selection: The stage's record.
        reals: Class name -> training tiles.
        fakes: Place of a snapshot -> class name -> images of the same seeds.
    """
    rows = selection.snapshots
    class_names = [entry.name for entry in rows[0].classes]
    return render_page(
        __package__,
        "page.html.j2",
        title=heading,
        notes=selection.notes,
        reason=selection.reason,
        measured_with=measured_with,
        charts=_charts(rows, selection.chosen_kimg),
        headings=["kimg", *_COLUMNS.values()],
        distances=_table(rows, rows),
        class_distances={
            name: _table(rows, [row.classes[place] for row in rows]) for place, name in enumerate(class_names)
        },
        strips={name: _strips(rows, name, tiles, fakes) for name, tiles in reals.items()},
        card=card_section(card, "generator-card.json"),
    )


def _charts(rows: Sequence[SnapshotRow], chosen_kimg: float) -> list[Any]:
    def line(key: str) -> Line:
        return [(row.kimg, getattr(row, key)) for row in rows]

    def by_class(key: str) -> dict[str, Line]:
        return {
            entry.name: [(row.kimg, getattr(row.classes[place], key)) for row in rows]
            for place, entry in enumerate(rows[0].classes)
        }

    charts: tuple[tuple[str, dict[str, Line]], ...] = (
        ("FID", {"training": line("fid"), "held out": line("fid_held_out")}),
        ("KID", {"training": line("kid"), "held out": line("kid_held_out")}),
        ("KID to the training tiles, per class", by_class("kid")),
        ("KID to the held-out tiles, per class", by_class("kid_held_out")),
        ("Precision and recall", {"precision": line("precision"), "recall": line("recall")}),
        ("Density and coverage", {"density": line("density"), "coverage": line("coverage")}),
        ("Recall, per class", by_class("recall")),
        ("Coverage, per class", by_class("coverage")),
    )
    return [line_chart(title, lines, "kimg", chosen=chosen_kimg) for title, lines in charts]


def _table(rows: Sequence[SnapshotRow], values: Sequence[Distances]) -> list[TableRow]:
    """Rows of a table: `rows` say which snapshot a line is of, `values` what is in it."""
    return [
        TableRow(
            [f"{row.kimg:g}", *(_distance_cell(distances, key) for key in _COLUMNS)],
            css_class="chosen" if row.chosen else "",
        )
        for row, distances in zip(rows, values, strict=True)
    ]


def _distance_cell(distances: Distances, key: str) -> Cell:
    value, error = getattr(distances, key), getattr(distances, f"{key}_se", None)
    return Cell(DASH if value is None else f"{value:.4g}", interval="" if error is None else f"± {error:.2g}")


def _strips(
    rows: Sequence[SnapshotRow],
    name: str,
    reals: Sequence[Pixels],
    fakes: Mapping[int, Mapping[str, Sequence[Pixels]]],
) -> list[tuple[str, str]]:
    """Label and picture of the real tiles of a class, and of every shown snapshot's."""
    strips = [("real", _strip(reals))]
    for place, images in fakes.items():
        row = rows[place]
        strips.append((f"{row.kimg:g} kimg{' ✓' if row.chosen else ''}", _strip(images[name])))
    return strips


def _strip(tiles: Sequence[Pixels]) -> str:
    grid = image_grid([resize(tile, _TILE_PX) for tile in tiles], columns=len(tiles))
    return data_uri(grid, "JPEG")
