"""The page of tile: counts, a sheet of tiles per site and class, the slides, and what was left out."""

import base64
from collections.abc import Sequence
from typing import Any

import pandas as pd

from components.core.data.archive import ImageArchive
from components.core.html.pictures import data_uri, resize
from components.core.html.render import render_page
from components.core.html.table import Cell
from components.core.records.tile import SiteRow, SlideRow, TileRecord
from components.tile.overview import REFUSED_COLOUR, TAKEN_COLOUR

CLASS_COLOURS = ("#0072B2", "#D55E00")
SHEET_TILES, THUMBNAIL_PX, BAR_PX = 8, 116, 70
_SMALL_OUTCOMES = {"resize": "enlarged", "pad": "padded", "skip": "left out", "refuse": ""}


def render_tile_page(
    table: pd.DataFrame, tiles: ImageArchive, record: TileRecord, overviews: Sequence[bytes] = ()
) -> str:
    """The whole page.

    Args:
        table: Manifest with its labels.
        tiles: Archive that it describes.
        record: Record of the stage.
        overviews: Pictures of the record's slides, JPEG.
    """
    slides = list(zip(record.slides, overviews, strict=True))
    return render_page(
        __package__,
        "page.html.j2",
        title="Tiles",
        tiles=len(table),
        images=record.images,
        patients=table.loc[table["identity"] != "", "identity"].nunique(),
        tile_px=record.tile_px,
        resolution=record.resolution,
        site_rows=[_site_cells(row) for row in record.sites],
        sites=[
            _site_section(
                row.site, table[table["site"] == row.site], tiles, [pair for pair in slides if pair[0].site == row.site]
            )
            for row in record.sites
        ],
        skipped_rows=[[image.file, image.why] for image in record.skipped],
        thumbnail_px=THUMBNAIL_PX,
        taken_colour=TAKEN_COLOUR,
        refused_colour=REFUSED_COLOUR,
    )


def _site_cells(row: SiteRow) -> list[Any]:
    source = Cell("each slide's own") if row.slides and row.source_mpp is None else _mpp_cell(row.source_mpp)
    counts = [row.images, row.tiles, row.patients, row.cases, row.class0, row.class1]
    return [row.site, *counts, _mpp_cell(row.mpp), source, Cell(_remark(row), is_number=False, css_class="soft")]


def _remark(row: SiteRow) -> str:
    small = [f"{row.small_images:,} small images {_SMALL_OUTCOMES[row.small]}"] if row.small_images else []
    return "; ".join([*small, *(["tile level only"] if row.tile_level else [])])


def _mpp_cell(value: float | None) -> Cell:
    return Cell("unknown", css_class="bad") if value is None else Cell(f"{value:.4g}")


def _site_section(
    name: str, rows: pd.DataFrame, tiles: ImageArchive, slides: Sequence[tuple[SlideRow, bytes]]
) -> dict[str, Any]:
    bars, spread = _patient_bars(rows)
    return {
        "name": name,
        "bars": bars,
        "spread": spread,
        "classes": [_class_sheet(int(str(label)), same, tiles) for label, same in rows.groupby("label", sort=True)],
        "slides": [
            {"row": row, "source": f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"}
            for row, picture in slides
        ],
        "has_refused": any(row.refused_by_filter for row, _ in slides),
    }


def _class_sheet(label: int, rows: pd.DataFrame, tiles: ImageArchive) -> dict[str, Any]:
    counts = rows["diagnosis"].value_counts().sort_index()
    return {
        "label": label,
        "colour": CLASS_COLOURS[label],
        "diagnoses": ", ".join(f"{name} {count:,}" for name, count in counts.items()),
        "thumbnails": [data_uri(resize(tiles.read(file), THUMBNAIL_PX)) for file in _select_files(rows)],
    }


def _select_files(rows: pd.DataFrame) -> list[str]:
    """A few tiles, from as many patients as can be: the middle tile of images spread over the list.

    Where images are few, as slides may be, they are spread over the tiles.
    """
    images = rows.groupby(["identity", "source"], sort=True)["file"].agg(lambda files: files.iloc[len(files) // 2])
    if len(images) < SHEET_TILES:
        return list(rows["file"].iloc[:: max(1, len(rows) // SHEET_TILES)][:SHEET_TILES])
    turns = images.groupby("identity").cumcount()
    ordered = images.iloc[turns.argsort(kind="stable")]
    first = ordered[: max(SHEET_TILES, int((turns == 0).sum()))]
    step = max(1, len(first) // SHEET_TILES)
    return list(first[::step][:SHEET_TILES])


def _patient_bars(rows: pd.DataFrame) -> tuple[list[list[dict[str, str]]], str]:
    """A bar for each patient, its tiles of each class in their colour; and the spread of their numbers in words."""
    known = rows[rows["identity"] != ""]
    if known.empty:
        return [], ""
    counts = known.groupby(["identity", "label"]).size().unstack(fill_value=0).astype(int)
    totals = counts.sum(axis=1).sort_values(ascending=False, kind="stable")
    bars = [
        [
            {"height": f"{BAR_PX * count / totals.iloc[0]:.1f}", "colour": CLASS_COLOURS[int(str(label))]}
            for label, count in counts.loc[identity].items()
            if count
        ]
        for identity in totals.index
    ]
    return bars, f"{totals.min():,} to {totals.max():,}, median {totals.median():,.0f}"
