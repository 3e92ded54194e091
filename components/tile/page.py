"""The page that shows what was cut: counts, a sheet of tiles per site and class, what was left out."""

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from components.core.data.archive import ImageArchive
from components.core.html.css import PAGE_CSS
from components.core.html.pictures import data_uri, resize
from components.tile.overview import REFUSED, TAKEN

CLASS_COLOURS = ("#0072B2", "#D55E00")
SHEET_TILES, THUMBNAIL_PX = 8, 116
_OWN_STYLE = """
.sheet { display: flex; flex-wrap: wrap; gap: 6px; margin: 6px 0 18px; }
.sheet img { border-radius: 3px; display: block; }
.bars { display: flex; align-items: flex-end; gap: 2px; height: 72px; margin: 10px 0 4px; flex-wrap: nowrap; }
.bars i { flex: 1 1 2px; max-width: 18px; display: flex; flex-direction: column-reverse; }
.bars b { display: block; }
.slides { display: flex; flex-wrap: wrap; gap: 18px; margin: 8px 0 18px; }
.slides figure { margin: 0; max-width: 322px; }
.slides img { max-width: 100%; border: 1px solid var(--line); display: block; }
.slides figcaption { font-size: 13px; color: var(--soft); margin-top: 4px; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }
"""


def page_html(
    table: pd.DataFrame,
    tiles: ImageArchive,
    sites: Sequence[Mapping[str, Any]],
    skipped: Sequence[Mapping[str, str]],
    settings: str,
    slides: Sequence[Mapping[str, Any]] = (),
    overviews: Sequence[bytes] = (),
) -> str:
    """The whole page.

    Args:
        table: The manifest with its labels.
        tiles: The archive that it describes.
        sites: Rows of the record's table "sites".
        skipped: Rows of the record's table "skipped".
        settings: How the tiles were cut, in words.
        slides: Rows of the record's table "slides".
        overviews: Their pictures, JPEG.
    """
    people = table.loc[table["identity"] != "", "identity"].nunique()
    images = sum(row["images"] for row in sites)
    body = [
        "<h1>Tiles</h1>",
        f"<p>{len(table):,} tiles of {images:,} images, {people:,} known patients, {len(sites)} site(s). "
        f"<span class=soft>{html.escape(settings)}</span></p>",
        _sites(sites),
        *(
            _site(table[table["site"] == row["site"]], tiles, row)
            + _slides([pair for pair in zip(slides, overviews, strict=True) if pair[0]["site"] == row["site"]])
            for row in sites
        ),
        _skipped(skipped),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Tiles</title>\n'
        f"<style>{PAGE_CSS}{_OWN_STYLE}</style></head>\n<body><main>{''.join(body)}</main></body></html>\n"
    )


def _sites(sites: Sequence[Mapping[str, Any]]) -> str:
    if not sites:
        return "<p>There is no image: the source is empty.</p>"
    head = ["images", "tiles", "patients", "cases", "tiles of class 0", "tiles of class 1", "um/px", "um/px of source"]
    rows = []
    for row in sites:
        numbers = [row[key] for key in ("images", "tiles", "patients", "cases", "class0", "class1")]
        of_slides = "each slide's own" if row["slides"] and row["source_mpp"] is None else ""
        scales = [_um_per_px(row["mpp"]), of_slides or _um_per_px(row["source_mpp"])]
        cells = "".join(f'<td class="number">{value}</td>' for value in [*(f"{n:,}" for n in numbers), *scales])
        rows.append(f"<tr><td>{html.escape(row['site'])}</td>{cells}<td class=soft>{_remark(row)}</td></tr>")
    headings = "".join(f'<th class="number">{name}</th>' for name in head)
    return (
        f'<div class="scroll"><table><thead><tr><th>site</th>{headings}<th></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _remark(row: Mapping[str, Any]) -> str:
    done = {"resize": "enlarged", "pad": "padded", "skip": "left out", "refuse": ""}[row["small"]]
    small = [f"{row['small_images']:,} small images {done}"] if row["small_images"] else []
    return "; ".join([*small, *(["tile level only"] if row["tile_level"] else [])])


def _um_per_px(value: float | None) -> str:
    return '<span class="bad">unknown</span>' if value is None else f"{value:.4g}"


def _site(rows: pd.DataFrame, tiles: ImageArchive, site: Mapping[str, Any]) -> str:
    parts = [f"<h2>{html.escape(site['site'])}</h2>", _patients(rows)]
    for label, same in rows.groupby("label", sort=True):
        diagnoses = ", ".join(
            f"{html.escape(str(name))} {count:,}"
            for name, count in same["diagnosis"].value_counts().sort_index().items()
        )
        parts.append(
            f"<h3>{_key(CLASS_COLOURS[int(str(label))])}Class {label} <span class=soft>tiles: {diagnoses}</span></h3>"
        )
        thumbnails = (data_uri(resize(tiles.read(file), THUMBNAIL_PX)) for file in _chosen(same))
        images = (f'<img src="{uri}" width="{THUMBNAIL_PX}" alt="tile of class {label}">' for uri in thumbnails)
        parts.append(f'<div class="sheet">{"".join(images)}</div>')
    return "".join(parts)


def _slides(slides: Sequence[tuple[Mapping[str, Any], bytes]]) -> str:
    """Pictures of a site's slides, in the manifest's order, with the tiles drawn in."""
    if not slides:
        return ""
    refused = any(row["refused_by_filter"] for row, _ in slides)
    filtered = f"; {_key(REFUSED)} outside the reference band" if refused else ""
    figures = "".join(
        f'<figure><img loading="lazy" src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}" '
        f'alt="slide {place}"><figcaption>{_caption(place, row)}</figcaption></figure>'
        for place, (row, picture) in enumerate(slides, 1)
    )
    return (
        f"<h3>Slides <span class=soft>{_key(TAKEN)} tiles that were taken{filtered}</span></h3>"
        f'<div class="slides">{figures}</div>'
    )


def _caption(place: int, row: Mapping[str, Any]) -> str:
    magnification = f"{row['source_mpp']:.4g} um/px ({row['mpp_stated_by']})"
    enlarged = f', <span class="bad">enlarged {row["scale"]:.2g} times</span>' if row["scale"] > 1.1 else ""
    refused = f"; {row['refused_by_filter']:,} outside the reference band" if row["refused_by_filter"] else ""
    return (
        f"Slide {place}: {row['width']:,} x {row['height']:,} px at {magnification}{enlarged}. "
        f"{row['tiles']:,} of {row['tissue_tiles']:,} tissue tiles{refused}."
    )


def _chosen(rows: pd.DataFrame) -> list[str]:
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


def _patients(rows: pd.DataFrame) -> str:
    """Tiles of each patient as bars, the classes in their colours."""
    known = rows[rows["identity"] != ""]
    if known.empty:
        return "<p class=soft>No patient is known: this site counts at tile level only.</p>"
    counts = known.groupby(["identity", "label"]).size().unstack(fill_value=0).astype(int)
    totals = counts.sum(axis=1).sort_values(ascending=False, kind="stable")
    bars = []
    for identity in totals.index:
        stack = "".join(
            f'<b style="height:{70 * n / totals.iloc[0]:.1f}px;background:{CLASS_COLOURS[int(str(label))]}"></b>'
            for label, n in counts.loc[identity].items()
            if n
        )
        bars.append(f"<i>{stack}</i>")
    spread = f"{totals.min():,} to {totals.max():,}, median {totals.median():,.0f}"
    return (
        f'<div class="bars">{"".join(bars)}</div>'
        f'<p class="soft small">Tiles per patient ({spread}): one bar for each of {len(totals)} patients.</p>'
    )


def _key(colour: str) -> str:
    return f'<span class="key" style="background:{colour}"></span>'


def _skipped(skipped: Sequence[Mapping[str, str]]) -> str:
    if not skipped:
        return ""
    rows = "".join(f"<tr><td>{html.escape(r['file'])}</td><td>{html.escape(r['why'])}</td></tr>" for r in skipped)
    return (
        f"<h2>Left out</h2><p>{len(skipped):,} image(s) gave no tile, or not all.</p>"
        '<div class="scroll"><table><thead><tr><th>image</th><th>why</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
