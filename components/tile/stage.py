"""Cuts labelled images and whole slides into square tiles, with a manifest that has a row per tile."""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.file_names import RECORDS, STUDY_KEY_ID
from components.core.data.manifest import write_manifest
from components.core.errors import ConfigError
from components.core.io.atomic_files import write_text
from components.core.io.os_errors import describe_os_errors
from components.core.io.partial_files import partial_path, remove, remove_stale_partials
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import key_id, study_key
from components.core.records.stage_record import StageRecord
from components.core.records.tile import TileRecord
from components.core.runtime.progress import track
from components.core.telemetry.stage import instrumented
from components.tile.coords import Crop
from components.tile.data_card.card import card_of_tiles, write_card
from components.tile.options import TileOptions
from components.tile.page import render_tile_page
from components.tile.reference_band import REFERENCE_BAND, measure_band
from components.tile.sampling import SlideSampling
from components.tile.site_counts import SiteCounts, size_rows
from components.tile.sites import parse_um_per_px, rules_of_sites
from components.tile.sources import LabelledSources, check_patients, read_sources
from components.tile.tile_extraction import open_images
from components.tile.tile_writer import TileWriter


@instrumented
def run(
    *,
    sources: Sequence[str],
    tiles: str,
    manifest: str,
    tile_page: str,
    data_card: str,
    card_values: str,
    tile_record: str,
    reference: str = "",
    plan: str = "",
    labels: Sequence[str] = (),
    sites: Sequence[str] = (),
    mpp: dict[str, str] | None = None,
    target_mpp: float = 0.0,
    blind: bool = False,
    seed: int = 0,
    options: TileOptions = TileOptions(),
    shared: SharedOptions = SharedOptions(),
) -> float:
    """Cuts labelled images and whole slides into square tiles, with a manifest that has a row per tile.

    Args:
        sources: Folders, zips or s3:// prefixes of fields (JPEG, PNG or TIFF, 8-bit RGB) and whole slides (SVS, NDPI,
            MRXS, SCN, BIF, pyramidal TIFF); none makes an empty tile set.
        tiles: TileSet to write: image archive (zip).
        manifest: Manifest to write: CSV, one row per tile, always with labels.
        tile_page: Page to write, HTML: counts, a sheet of tiles, and each slide with its tiles marked.
        data_card: Data card to write, HTML: counts, sizes, magnification, licence, stain statistics, fingerprints.
        card_values: Values of the data card to write, JSON.
        tile_record: Record (JSON) to write.
        reference: TileSet of the study, which the slide filter compares with.
        plan: SplitPlan of the study; the slide filter compares with the training patients of its fold "all".
        labels: One label file per source: StyleGAN dataset.json, Thy-GAN JSON with `meta`, or a CSV with the columns
            file, class, patient, diagnosis, site, case; '' or none = looked for in the source.
        sites: Name of each source's site where its labels have none; '' or none = the folder's name.
        mpp: Micrometres per pixel of each site, SITE=0.62; SITE=metadata (each slide's own; sites of slides only need
            nothing else) or SITE=unknown; "*" = all other sites.
        target_mpp: Micrometres per pixel that sites of known um/px are resampled to, in place of the option study_mpp;
            0 = that option's.
        blind: True to keep labels and diagnoses out of the tile set; the manifest alone has them. The option
            slide_filter acts on blind tile sets only.
        seed: Seed of the order in which a slide's tiles are tried, and of the data card's sample.
        options: Options of the stage.
        shared: Options that several stages share; `tile_level` is read, and must name sites of a blind tile set.

    Returns:
        Micrometres per pixel at which the tiles were cut; 0 where no site's is known.

    Raises:
        ConfigError: Options that contradict each other, a site or a slide without um/px, or no study key.
        DataError: Images or labels that cannot be used.
        StoreError: A bucket that cannot be read, or a destination that cannot be written.
    """
    tile_px, resolution = options.tile_px, options.resolution or options.tile_px
    study_mpp = _check_target(target_mpp) or options.study_mpp
    key = study_key()
    with StageRecord(tile_record, "tile") as record, _scratch_folder(tiles) as scratch:
        labelled = read_sources(sources, labels, sites, options.patient_pattern, scratch)
        names = labelled.table["site"]
        # the study's own tile set gets the same shared options, which name sites of the external one
        tile_level = [site for site in shared.tile_level if blind or site in set(names)]
        rules = rules_of_sites(names, mpp or {}, study_mpp, options.small, tile_level, labelled.slides_only)
        check_patients(labelled.table, tile_level)
        is_filtered = blind and options.slide_filter == REFERENCE_BAND
        band = measure_band(reference, plan, resolution) if is_filtered else None
        sampling = SlideSampling(options.slide_tiles, options.min_tissue, seed, band)
        counts = {
            name: SiteCounts(site, Crop(tile_px, resolution, site.source_mpp, site.mpp, site.small, site.metadata))
            for name, site in rules.items()
        }
        with ArchiveWriter(tiles) as archive:
            writer = TileWriter(archive, counts, sampling, key, blind, options.skip_bad)
            _write_tiles(writer, labelled, scratch)
            results = _summarize(writer, labelled, tile_px, resolution, options.data_version)
            record.set(results)
            archive.attach(STUDY_KEY_ID, {"key_id": key_id(key)})
            archive.attach(RECORDS, record.chain())

        with ImageArchive(tiles) as archive:
            table = archive.manifest
            if blind:
                table = _with_labels(table, labelled.table, writer.tiles_per_image)
            card = card_of_tiles(
                archive, table, licences=options.licences, image_sizes=size_rows(counts.values()), seed=seed
            )
            page = render_tile_page(table, archive, results, writer.overviews)
            with describe_os_errors(manifest):
                write_manifest(manifest, table)
                write_text(tile_page, page)
                write_card(card, data_card, card_values)
    return next((site.mpp for site in rules.values() if site.mpp), 0.0)


def _write_tiles(writer: TileWriter, labelled: LabelledSources, scratch: Path) -> None:
    """Cuts every image."""
    images = labelled.table.to_dict("records")
    crops = {name: counts.crop for name, counts in writer.sites.items()}
    with closing(open_images(labelled.sources, images, crops, writer.sampling, scratch)) as opened_images:
        tracked = track(opened_images, "cutting tiles", len(images), "images")
        for image, opened in zip(images, tracked, strict=True):
            writer.write(image, labelled.sources[image["source_index"]].address(image["file"]), opened)


def _with_labels(table: pd.DataFrame, images: pd.DataFrame, counts: Sequence[int]) -> pd.DataFrame:
    """A blind manifest with its images' labels and diagnoses."""
    of_tiles = images.loc[images.index.repeat(counts), ["label", "diagnosis"]].reset_index(drop=True)
    return table.assign(label=of_tiles["label"].astype("Int64"), diagnosis=of_tiles["diagnosis"])


def _summarize(
    writer: TileWriter, labelled: LabelledSources, tile_px: int, resolution: int, data_version: str
) -> TileRecord:
    """The stage's record."""
    used = labelled.table[pd.Series(writer.tiles_per_image, index=labelled.table.index, dtype=int) > 0]
    known = used[used["number"] != ""]
    sites = [counts.row() for counts in writer.sites.values()]
    magnifications = {site.mpp for site in sites}
    sampling, has_slides = writer.sampling, bool(writer.slides)
    return TileRecord(
        tile_px=tile_px,
        resolution=resolution,
        tiles=sum(writer.tiles_per_image),
        images=len(used),
        patients=len(known[["site", "number"]].drop_duplicates()),
        mpp=(magnifications.pop() if len(magnifications) == 1 else None) or math.nan,
        sites=sites,
        skipped=writer.skipped,
        slides=writer.slides,
        slide_tiles=sampling.tiles if has_slides else None,
        min_tissue=sampling.min_tissue if has_slides else None,
        slide_filter=(REFERENCE_BAND if sampling.band else "none") if has_slides else None,
        seed=sampling.seed if has_slides else None,
        reference_band=sampling.band,
        patient_numbers_at_several_sites=len(labelled.numbers_of_several_sites) or None,
        data_version=data_version or None,
    )


def _check_target(target_mpp: float) -> float:
    if target_mpp and math.isnan(parse_um_per_px(target_mpp)):
        raise ConfigError(f"--target-mpp {target_mpp:g} is not um/px: give for example 0.5, or 0 for --study-mpp.")
    return target_mpp


@contextmanager
def _scratch_folder(path: str) -> Iterator[Path]:
    """A folder beside the destination for copies of images; it is removed in the end."""
    images = Path(path).with_name(f"{Path(path).name}-images")
    folder = partial_path(images)
    with describe_os_errors(path):
        folder.mkdir(parents=True)
    try:
        remove_stale_partials(images)  # of killed runs
        yield folder
    finally:
        remove(folder)
