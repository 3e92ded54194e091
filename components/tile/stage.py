"""Cuts labelled images into square tiles and writes down what each tile is of."""

import math
import os
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import Any

import pandas as pd

from components.core.archive import ArchiveWriter, ImageArchive
from components.core.errors import ConfigError, DataError
from components.core.files import write_text
from components.core.lineage import identity, key_id, study_key
from components.core.manifest import write_manifest
from components.core.progress import track
from components.core.results import RECORDS, Record
from components.tile.crops import Crop, Tiles, cut
from components.tile.page import page_html
from components.tile.sites import REFUSE, Site, site_rules
from components.tile.sources import check_patients, read_sources

KEY = "key.json"
_AHEAD = 2  # images per worker that may wait, cut, to be written


def run(
    *,
    sources: Sequence[str],
    tiles: str,
    manifest: str,
    page: str,
    metrics: str,
    labels: Sequence[str] = (),
    sites: Sequence[str] = (),
    mpp: dict[str, str] | None = None,
    study_mpp: float = 0.0,
    tile_px: int = 512,
    resolution: int = 0,
    small: dict[str, str] | None = None,
    patient_pattern: str = "",
    tile_level: Sequence[str] = (),
    blind: bool = False,
    skip_bad: bool = False,
    data_version: str = "",
) -> float:
    """Cuts labelled images into square tiles, with a manifest that says patient, case, site and um/px of each.

    Args:
        sources: Folders of JPEG, PNG or TIFF images (8-bit RGB); none makes an empty tile set.
        tiles: TileSet to write: image archive (zip).
        manifest: Manifest to write: CSV, one row per tile, always with labels.
        page: HTML page to write: counts and a sheet of tiles.
        metrics: JSON file for the stage's record.
        labels: One label file per source: StyleGAN dataset.json, Thy-GAN JSON with `meta`, or a CSV with the columns
            file, class, patient, diagnosis, site, case; '' or none = found in the folder.
        sites: Name of each source's site where its labels have none; '' or none = the folder's name.
        mpp: Micrometres per pixel of each site, SITE=0.62 or SITE=unknown; "*" stands for the others.
        study_mpp: Micrometres per pixel that sites of known um/px are resampled to; 0 = left as they are.
        tile_px: Side of the squares that are cut, in pixels (after resampling), at least 16.
        resolution: Side that tiles are resized to, in pixels; 0 = tile_px.
        small: What to do with images smaller than a tile, per site or "*": "resize" (enlarge to fit), "pad" (reflect),
            "skip" or "refuse" (the default).
        patient_pattern: Regular expression with a group `patient`, searched in file names where labels name no patient.
        tile_level: Sites that may lack patients: tile metrics only, never a vote, a test or a verdict.
        blind: Keep labels and diagnoses out of the tile set; the manifest alone has them.
        skip_bad: Go on without images that cannot be read or are not 8-bit RGB; they are counted and listed.
        data_version: Any text; another one makes caches miss when the files behind the folders have changed.

    Returns:
        Micrometres per pixel at which the tiles were cut; 0 where no site's is known.

    Raises:
        ConfigError: An option that cannot be meant, a site without um/px, or no study key.
        DataError: Images or labels that cannot be used.
    """
    if tile_px < 16:
        raise ConfigError(f"--tile-px {tile_px} is too small: tiles have at least 16 px.")
    if resolution and resolution < 4:
        raise ConfigError(f"--resolution {resolution} is too small: give at least 4 px, or 0 for the tile's own size.")
    resolution = resolution or tile_px
    key = study_key()
    with Record(metrics, "tile", tile_px=tile_px, resolution=resolution) as record:
        images = read_sources(sources, labels, sites, patient_pattern)
        rules = site_rules(images["site"], mpp or {}, study_mpp, small or {}, tile_level)
        check_patients(images, tile_level)
        crops = {name: Crop(tile_px, resolution, site.scale, site.small) for name, site in rules.items()}

        rows: list[dict[str, Any]] = []
        skipped: list[dict[str, str]] = []
        used, small_images = Counter[str](), Counter[str]()
        with ArchiveWriter(tiles) as archive:
            jobs = [(image["path"], crops[image["site"]]) for image in images.to_dict("records")]
            made = track(_in_order(jobs), "cutting tiles", len(jobs), "images")
            for image, of_image in zip(images.to_dict("records"), made, strict=True):
                why = _why_skipped(image, of_image, rules[image["site"]], skip_bad)
                if why:
                    skipped.append({"file": image["source"], "why": why})
                used[image["site"]] += not why
                small_images[image["site"]] += bool(of_image.small)
                for row, png in _rows(image, of_image, rules[image["site"]], key):
                    archive.add(png, {**row, "label": None, "diagnosis": ""} if blind else row)
                    rows.append(row)
            summary = [
                _summary(site, rows, used[name], small_images[name], crops[name]) for name, site in rules.items()
            ]
            record.table("sites", summary)
            record.table("skipped", skipped)
            record["tiles"] = len(rows)
            record["images"] = used.total()
            record["patients"] = len({row["identity"] for row in rows} - {""})
            record["mpp"] = _common(row["mpp"] for row in summary)
            if data_version:
                record["data_version"] = data_version
            archive.attach(KEY, {"key_id": key_id(key)})
            archive.attach(RECORDS, record.chain())

        with ImageArchive(tiles) as written:
            table = written.manifest
            if blind and rows:
                table = table.assign(
                    label=pd.array([row["label"] for row in rows], dtype="Int64"),
                    diagnosis=[row["diagnosis"] for row in rows],
                )
            write_manifest(manifest, table)
            cutting = f"Cut at {tile_px} px, stored at {resolution} px."
            write_text(page, page_html(table, written, summary, skipped, cutting))
    return next((site.mpp for site in rules.values() if site.mpp), 0.0)


def _in_order(jobs: list[tuple[str, Crop]]) -> Iterator[Tiles]:
    """Every image's tiles in the images' order, cut on all cores, a few images ahead."""
    workers = min(len(os.sched_getaffinity(0)), len(jobs))
    if not workers:
        return
    with ProcessPoolExecutor(workers) as pool:
        rest = iter(jobs)
        waiting: deque[Future[Tiles]] = deque(pool.submit(cut, *job) for job in islice(rest, _AHEAD * workers))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(cut, *job) for job in islice(rest, 1))
            yield done


def _why_skipped(image: dict[Hashable, Any], made: Tiles, site: Site, skip_bad: bool) -> str:
    """Why an image gives no tile; '' = it does. Raises where leaving it out was not asked for."""
    if made.odd and not skip_bad:
        raise DataError(
            f"{image['path']} {made.odd}: put an 8-bit RGB image in its place, or leave such images out by --skip-bad."
        )
    if made.small and site.small == REFUSE:
        raise DataError(
            f"{image['path']}: {made.small}; say what to do with those by --small {site.name}=resize (or pad, or skip)."
        )
    return made.odd or ("" if made.pngs else made.small)


def _rows(image: dict[Hashable, Any], made: Tiles, site: Site, key: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    of_image = {name: image[name] for name in ("label", "patient", "case", "diagnosis", "site", "source")}
    of_image["mpp"] = site.source_mpp / made.scale if site.source_mpp else None
    of_image["identity"] = identity(key, site.name, image["number"]) if image["number"] else ""
    for x, y, png in made.pngs:
        yield {**of_image, "x": x, "y": y}, png


def _summary(site: Site, rows: list[dict[str, Any]], images: int, small_images: int, crop: Crop) -> dict[str, Any]:
    """A site's row of the record's table "sites"; `mpp` is that of the tiles, of enlarged ones apart."""
    own = [row for row in rows if row["site"] == site.name]
    if not own:
        raise DataError(f"No image of site {site.name!r} gave a tile: see what --skip-bad and --small leave out.")
    labels = Counter(row["label"] for row in own)
    return {
        "site": site.name,
        "images": images,
        "tiles": len(own),
        "patients": len({row["patient"] for row in own} - {""}),
        "cases": len({row["case"] for row in own} - {""}),
        "class0": labels[0],
        "class1": labels[1],
        "mpp": site.mpp * crop.tile_px / crop.resolution if site.mpp else None,
        "source_mpp": site.source_mpp,
        "small": site.small,
        "small_images": small_images,
        "tile_level": site.tile_level,
    }


def _common(values: Iterable[float | None]) -> float:
    """The one known value; NaN (written as null) where there is none or more than one."""
    known = set(values)
    return next(iter(known)) or math.nan if len(known) == 1 else math.nan
