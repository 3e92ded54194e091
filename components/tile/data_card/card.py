"""Values of the data card, site by site: counts, sizes, magnification, licence, stain, fingerprints; no patient."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.core.data.archive import ImageArchive
from components.core.data.manifest import to_csv
from components.core.io.atomic_files import file_sha256, write_json, write_text
from components.tile.data_card.page import card_page
from components.tile.data_card.stains import METHOD, SiteStain, select_tiles, site_stain, stain_differences
from components.tile.sites import OTHERS

_UNLABELLED = -1


def write_card(card: Mapping[str, Any], page: str | Path, values: str | Path) -> None:
    """Writes a card as an HTML page and as JSON."""
    write_json(values, card)
    write_text(page, card_page(card))


def card_of_tiles(
    archive: ImageArchive,
    table: pd.DataFrame,
    *,
    licences: Mapping[str, str] | None = None,
    image_sizes: Sequence[Mapping[str, Any]] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Everything on the card of a tile set, as JSON-ready values.

    Args:
        archive: Tile set.
        table: Manifest with labels, which a blind tile set itself lacks.
        licences: Site -> terms under which its images may be used; "*" = all other sites.
        image_sizes: Rows `site, width, height, images`, sizes of the source images in pixels.
        seed: Seed of the tiles and pixels that the stain is measured on.
    """
    terms = licences or {}
    groups = {str(site): rows for site, rows in table.groupby("site", sort=True)}
    stains = {site: _measure_stain(archive, rows, seed) for site, rows in groups.items()}
    sites = [
        {
            "site": site,
            "licence": terms.get(site, terms.get(OTHERS)) or None,
            **_counts(rows),
            "tiles_per_patient": _tiles_per_patient(rows),
            "mpp": sorted(float(value) for value in rows["mpp"].dropna().unique()),
            "mpp_unknown_tiles": int(rows["mpp"].isna().sum()),
            "image_sizes": _sizes(image_sizes, site),
            "classes": _classes(rows),
            "stain": stains[site].to_dict(),
            "sha256": _content_digest(rows),
        }
        for site, rows in groups.items()
    ]
    return {
        "schema": "thygan-data-card-1",
        **_counts(table),
        "tile_px": archive.resolution,
        "sites": sites,
        "stain_method": METHOD,
        "stain_seed": seed,
        "stain_differences": stain_differences(stains),
        "sha256": {
            "archive": file_sha256(archive.path),
            "manifest": hashlib.sha256(to_csv(table).encode()).hexdigest(),
            "content": _content_digest(table),
        },
        "marks": [mark for site in sites for mark in _marks(site)],
    }


def _measure_stain(archive: ImageArchive, rows: pd.DataFrame, seed: int) -> SiteStain:
    rng = np.random.default_rng(seed)
    return site_stain(archive.images(select_tiles(rows, rng)), rng)


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    known = rows[rows["identity"] != ""]
    return {
        "images": len(rows[["site", "source"]].drop_duplicates()),
        "tiles": len(rows),
        "patients": known["identity"].nunique(),
        "cases": len(known[["identity", "case"]].drop_duplicates()),
    }


def _tiles_per_patient(rows: pd.DataFrame) -> dict[str, float] | None:
    tiles = rows.loc[rows["identity"] != "", "identity"].value_counts()
    if tiles.empty:
        return None
    return {"least": int(tiles.min()), "median": float(tiles.median()), "most": int(tiles.max())}


def _classes(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Counts of each class and diagnosis; without a label it is null."""
    groups = rows.groupby([rows["label"].astype("Int64").fillna(_UNLABELLED), "diagnosis"], sort=True)
    return [
        {"label": None if label == _UNLABELLED else int(str(label)), "diagnosis": str(diagnosis), **_counts(same)}
        for (label, diagnosis), same in groups
    ]


def _sizes(rows: Sequence[Mapping[str, Any]], site: str) -> list[dict[str, int]]:
    """The site's image sizes, the most frequent first."""
    sizes = [{name: int(row[name]) for name in ("width", "height", "images")} for row in rows if row["site"] == site]
    return sorted(sizes, key=lambda row: (-row["images"], -row["width"], -row["height"]))


def _content_digest(rows: pd.DataFrame) -> str:
    """sha256 over the tiles' own sha256, sorted: the same for the same tiles in any order and archive."""
    return hashlib.sha256("\n".join(sorted(rows["sha256"])).encode()).hexdigest()


def _marks(site: Mapping[str, Any]) -> list[str]:
    """What a reader must know before using the site's images."""
    name = site["site"]
    marks = []
    if not site["licence"]:
        marks.append(f"The licence of {name} is not stated.")
    if site["mpp_unknown_tiles"]:
        marks.append(f"The um/px of {name} is unknown.")
    if len(site["mpp"]) > 1:
        marks.append(f"The tiles of {name} are of {len(site['mpp'])} magnifications.")
    if not site["patients"]:
        marks.append(f"No patient of {name} is known: it counts at tile level only.")
    if site["tiles"] and site["stain"]["haematoxylin"] is None:
        marks.append(f"No two stains are found in the tiles of {name}.")
    return marks
