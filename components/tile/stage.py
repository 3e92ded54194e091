"""Cuts labelled images and whole slides into square tiles and writes down what each tile is of."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.manifest import write_manifest
from components.core.errors import ConfigError
from components.core.io.atomic_files import write_text
from components.core.io.os_errors import describe_os_errors
from components.core.io.partial_files import partial_path, remove, remove_stale_partials
from components.core.protocol.lineage import key_id, study_key
from components.core.records.stage_record import RECORDS, StageRecord
from components.core.runtime.progress import track
from components.core.telemetry.stage import instrumented
from components.tile.coords import Crop
from components.tile.data_card.card import data_card, write_card
from components.tile.page import page_html
from components.tile.reference_band import NONE, REFERENCE_BAND, band_of
from components.tile.sampling import Sampling
from components.tile.site_counts import SiteTally, size_rows
from components.tile.sites import site_rules
from components.tile.sources import Sources, check_patients, read_sources
from components.tile.tile_extraction import open_images
from components.tile.tile_writer import TileWriter

KEY = "key.json"


@instrumented
def run(
    *,
    sources: Sequence[str],
    tiles: str,
    manifest: str,
    page: str,
    card: str,
    card_values: str,
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
    licences: dict[str, str] | None = None,
    blind: bool = False,
    skip_bad: bool = False,
    slide_tiles: int = 20,
    min_tissue: float = 0.5,
    slide_filter: str = NONE,
    reference: str = "",
    plan: str = "",
    seed: int = 0,
    data_version: str = "",
) -> float:
    """Cuts labelled images and whole slides into square tiles, with a manifest that says what each tile is of.

    Args:
        sources: Folders, zips or s3:// prefixes of fields (JPEG, PNG or TIFF, 8-bit RGB) and whole slides (SVS, NDPI,
            MRXS, SCN, BIF, pyramidal TIFF); none makes an empty tile set.
        tiles: TileSet to write: image archive (zip).
        manifest: Manifest to write: CSV, one row per tile, always with labels.
        page: HTML page to write: counts, a sheet of tiles, and each slide with its tiles drawn in.
        card: Data card to write, HTML: counts, sizes, magnification, licence, stain statistics, fingerprints.
        card_values: The same to write as JSON.
        metrics: JSON file for the stage's record.
        labels: One label file per source: StyleGAN dataset.json, Thy-GAN JSON with `meta`, or a CSV with the columns
            file, class, patient, diagnosis, site, case; '' or none = found in the source.
        sites: Name of each source's site where its labels have none; '' or none = the folder's name.
        mpp: Micrometres per pixel of each site, SITE=0.62; SITE=metadata (what each slide says; sites of slides only
            need no other) or SITE=unknown; "*" stands for the others.
        study_mpp: Micrometres per pixel that sites of known um/px are resampled to; 0 = left as they are. Whole slides
            need it.
        tile_px: Side of the squares that are cut, in pixels (after resampling), at least 16.
        resolution: Side that tiles are resized to, in pixels; 0 = tile_px.
        small: What to do with images smaller than a tile, per site or "*": "resize" (enlarge to fit), "pad" (reflect),
            "skip" or "refuse" (the default).
        patient_pattern: Finds the patient in file names where labels name none: tharun-thompson (100a.jpeg), tcga
            (barcodes), nikiforov (NIK-A008_0.jpeg), several of these with commas, or a regular expression with a group
            `patient`.
        tile_level: Sites that may lack patients: tile metrics only, never a vote, a test or a verdict.
        licences: Terms under which each site's images may be used, SITE=CC-BY-4.0; "*" stands for the others.
        blind: Keep labels and diagnoses out of the tile set; the manifest alone has them.
        skip_bad: Go on without images that cannot be used (unreadable, not 8-bit RGB, twice there, slides without
            um/px or tissue); they are counted and listed.
        slide_tiles: Tiles of each whole slide, drawn at random from its tissue; 0 = all.
        min_tissue: Least share of tissue in a slide's tile, 0..1.
        slide_filter: "none", or "reference-band": only tiles of slides whose mean and spread are both within one
            standard deviation of the study's training tiles (Thy-GAN's choice).
        reference: TileSet of the study, for the filter.
        plan: SplitPlan of the study, for the filter: its reference is the training patients of the fold "all".
        seed: Of the draw from the slides.
        data_version: Any text; another one makes caches miss when the files behind the sources have changed.

    Returns:
        Micrometres per pixel at which the tiles were cut; 0 where no site's is known.

    Raises:
        ConfigError: An option that cannot be meant, a site or a slide without um/px, or no study key.
        DataError: Images or labels that cannot be used.
        StoreError: A bucket that cannot be read, or a destination that cannot be written.
    """
    resolution = resolution or tile_px
    _check_options(tile_px, resolution, slide_tiles, min_tissue)
    key = study_key()
    with (
        StageRecord(metrics, "tile", tile_px=tile_px, resolution=resolution) as record,
        _scratch_beside(tiles) as scratch,
    ):
        found = read_sources(sources, labels, sites, patient_pattern, scratch)
        rules = site_rules(found.table["site"], mpp or {}, study_mpp, small or {}, tile_level, found.slides_only)
        check_patients(found.table, tile_level)
        sampling = Sampling(slide_tiles, min_tissue, seed, band_of(slide_filter, reference, plan, resolution))
        tallies = {
            name: SiteTally(site, Crop(tile_px, resolution, site.source_mpp, site.mpp, site.small, site.metadata))
            for name, site in rules.items()
        }
        with ArchiveWriter(tiles) as archive:
            taker = TileWriter(archive, tallies, sampling, key, blind, skip_bad)
            _cut(taker, found, scratch)
            summary = [tally.row() for tally in tallies.values()]
            _note(record, taker, summary, found)
            if data_version:
                record["data_version"] = data_version
            archive.attach(KEY, {"key_id": key_id(key)})
            archive.attach(RECORDS, record.chain())

        with ImageArchive(tiles) as written:
            table = written.manifest
            if blind:
                table = _with_labels(table, found.table, taker.counts)
            cutting = f"Cut at {tile_px} px, stored at {resolution} px."
            shown = page_html(table, written, summary, taker.skipped, cutting, taker.slides, taker.overviews)
            values = data_card(written, table, licences=licences, image_sizes=size_rows(tallies.values()), seed=seed)
            with describe_os_errors(manifest):
                write_manifest(manifest, table)
                write_text(page, shown)
                write_card(values, card, card_values)
    return next((site.mpp for site in rules.values() if site.mpp), 0.0)


def _cut(taker: TileWriter, found: Sources, scratch: Path) -> None:
    """Cuts every image."""
    images = found.table.to_dict("records")
    crops = {name: tally.crop for name, tally in taker.tallies.items()}
    with closing(open_images(found.places, images, crops, taker.sampling, scratch)) as ones:
        for image, one in zip(images, track(ones, "cutting tiles", len(images), "images"), strict=True):
            taker.take(image, found.places[image["place"]].at(image["file"]), one)


def _with_labels(table: pd.DataFrame, images: pd.DataFrame, counts: Sequence[int]) -> pd.DataFrame:
    """A blind manifest with its images' labels and diagnoses."""
    stated = images.loc[images.index.repeat(counts), ["label", "diagnosis"]].reset_index(drop=True)
    return table.assign(label=stated["label"].astype("Int64"), diagnosis=stated["diagnosis"])


def _note(record: StageRecord, taker: TileWriter, summary: list[dict[str, Any]], found: Sources) -> None:
    """Writes down what was cut."""
    table = found.table[pd.Series(taker.counts, index=found.table.index, dtype=int) > 0]
    known = table[table["number"] != ""]
    sampling = taker.sampling
    record["tiles"], record["images"] = sum(taker.counts), len(table)
    record["patients"] = len(known[["site", "number"]].drop_duplicates())
    record["mpp"] = _common(row["mpp"] for row in summary)
    if taker.slides:
        record["slide_tiles"], record["min_tissue"] = sampling.tiles, sampling.min_tissue
        record["slide_filter"] = REFERENCE_BAND if sampling.band else NONE
        record["seed"] = sampling.seed
    if found.shared_numbers:
        record["patient_numbers_at_several_sites"] = len(found.shared_numbers)
    record.table("sites", summary)
    record.table("skipped", taker.skipped)
    record.table("slides", taker.slides)
    if sampling.band:
        record.table("reference_band", asdict(sampling.band))


def _common(values: Iterable[float | None]) -> float:
    """The one known value; NaN (written as null) where there is none or more than one."""
    known = set(values)
    return next(iter(known)) or math.nan if len(known) == 1 else math.nan


@contextmanager
def _scratch_beside(path: str) -> Iterator[Path]:
    """A folder beside the destination for what is brought here to be read; it goes in the end."""
    images = Path(path).with_name(f"{Path(path).name}-images")
    folder = partial_path(images)
    with describe_os_errors(path):
        folder.mkdir(parents=True)
    try:
        remove_stale_partials(images)  # what a killed one brought
        yield folder
    finally:
        remove(folder)


def _check_options(tile_px: int, resolution: int, slide_tiles: int, min_tissue: float) -> None:
    if tile_px < 16:
        raise ConfigError(f"--tile-px {tile_px} is too small: tiles have at least 16 px.")
    if resolution < 4:
        raise ConfigError(f"--resolution {resolution} is too small: give at least 4 px, or 0 for the tile's own size.")
    if slide_tiles < 0:
        raise ConfigError(f"--slide-tiles {slide_tiles} is no number of tiles: give 1 or more, or 0 for all.")
    if not 0 <= min_tissue <= 1:
        raise ConfigError(f"--min-tissue {min_tissue:g} is no share: give one from 0 to 1.")
