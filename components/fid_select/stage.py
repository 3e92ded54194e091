"""fid_select: one snapshot becomes the generator, by a rule that was stated before."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from components.core.data.archive import ImageArchive
from components.core.data.class_samples import sample_of_class
from components.core.data.file_names import CARD, CLASSES, GENERATOR, LINEAGE, RECORDS, SELECTION
from components.core.data.images import Pixels
from components.core.errors import ConfigError, DataError
from components.core.features.cache import feature_cache
from components.core.features.extractors import Extractor, load_extractor
from components.core.io.atomic_files import atomic_write, read_json, write_json, write_text
from components.core.options.parse import check_options
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import Lineage
from components.core.records.fid_select import ClassDistances, SelectionRecord, SnapshotRow
from components.core.records.stage_record import StageRecord
from components.core.runtime.progress import log
from components.core.telemetry.stage import instrumented
from components.fid_select.card import generator_card
from components.fid_select.options import SelectionOptions
from components.fid_select.page import page_html, page_snapshots
from components.fid_select.screening import ScreeningResult, SnapshotEvaluator, screen_snapshots
from components.fid_select.selection_rule import SelectionRule, SnapshotValues, describe_held_out_problem
from components.fid_select.snapshot_samples import ImagePlan, Snapshot, find_snapshots, plan_images

PROTOCOL_IMAGES = 50_000
_IMAGES_PER_CLASS = 10  # on the page


@instrumented
def run(
    *,
    snapshots: str,
    dataset: str,
    held_out: str,
    generator: str,
    selection_page: str,
    selection_record: str,
    seed: int = 0,
    options: SelectionOptions = SelectionOptions(),
    shared: SharedOptions = SharedOptions(),
) -> None:
    """Measures every snapshot against the real tiles with fixed seeds and selects one by a stated rule.

    Args:
        snapshots: GanSnapshots folder of gan_train.
        dataset: GanDataset (zip) that it was trained on.
        held_out: HeldOut (zip): tiles of the same fold's inner-validation patients.
        generator: Generator folder to write: the chosen snapshot, its card and the evidence of its selection.
        selection_page: HTML page to write: the generator's card, curves, the table, sample grids of the snapshots.
        selection_record: Record (JSON) to write.
        seed: Seed of classes, latents and subsets, the same for every snapshot, at least 0.
        options: Options of the stage.
        shared: Options that several stages share; `extractor`, `extractor_px`, `weights_dir` and `device` are read.

    Raises:
        ConfigError: An option or the seed out of its range, or too few images to measure every class.
        DataError: No snapshot, or one of other classes or another side than the data's.
        WeightsError: The extractor's weights are missing, or are not those that were registered.
        StoreError: The cache cannot be reached.
    """
    options = check_options(options, "selection")
    if seed < 0:
        raise ConfigError(f"seed is {seed}: give a seed of at least 0.")
    folder = Path(snapshots)
    candidates = find_snapshots(folder)
    lineage = Lineage.read(folder / LINEAGE)
    upstream = read_json(folder / RECORDS) if (folder / RECORDS).exists() else None
    with (
        ImageArchive(dataset) as real,
        ImageArchive(held_out) as unseen,
        StageRecord(
            selection_record, "fid_select", upstream=upstream, fold=lineage.fold, scheme=lineage.scheme
        ) as record,
    ):
        classes = real.attachment(CLASSES)
        if not classes or not (folder / CLASSES).exists() or classes != read_json(folder / CLASSES):
            raise DataError(f"{snapshots} and {dataset} have different classes: give the data that it was trained on.")
        network = load_extractor(
            shared.extractor, weights_dir=shared.weights_dir, device=shared.device, input_px=shared.extractor_px
        )
        images, screening_images = options.images, options.screening_images
        is_screened = 0 < screening_images < images and options.finalists < len(candidates)
        few = screening_images if is_screened else images
        labels = real.manifest["label"].to_numpy(np.int64)
        plan = plan_images(labels, [entry["index"] for entry in classes], images, few, seed)
        rule = SelectionRule(options.rule, describe_held_out_problem(unseen.manifest, classes, lineage.patients))
        with feature_cache(options.cache_uri, network) as cache:
            evaluator = SnapshotEvaluator.for_tiles(real, unseen, classes, network, cache, options.batch, seed)
            result = screen_snapshots(candidates, plan, few, options.finalists, rule, evaluator)
        place, reason = rule.choose(result.rows)
        log(f"chosen: {reason}")
        notes = _notes(network, result.rows[place], rule)
        selection = _selection(network, rule, reason, result, place, few, options, seed, notes)
        record.set(selection)
        card = generator_card(candidates[place], record.chain(), selection, lineage, classes)
        _write_generator(Path(generator), candidates[place], lineage, classes, record, card)
        heading = f"Generator · fold {lineage.fold} · {lineage.scheme}"
        measured_with = (
            f"Measured in features of {network.title} (weights {network.weights_sha256[:12] or 'none'}, "
            f"{network.resize}), seed {seed}, stored noise. {result.cost}"
        )
        reals = {entry["name"]: sample_of_class(real, entry["index"], _IMAGES_PER_CLASS) for entry in classes}
        fakes = {
            index: _class_images(candidates[index], plan, classes, real.resolution, options.batch, network)
            for index in page_snapshots(len(result.rows), place)
        }
        write_text(selection_page, page_html(heading, card, measured_with, selection, reals, fakes))


def _selection(
    network: Extractor,
    rule: SelectionRule,
    reason: str,
    result: ScreeningResult,
    place: int,
    screening_images: int,
    options: SelectionOptions,
    seed: int,
    notes: list[str],
) -> SelectionRecord:
    rows = [_snapshot_row(row, chosen=index == place) for index, row in enumerate(result.rows)]
    return SelectionRecord(
        extractor=network.name,
        extractor_sha256=network.weights_sha256,
        extractor_trained=network.trained,
        extractor_px=network.input_px,
        extractor_resize=network.resize,
        rule=rule.rule,
        reason=reason,
        images=options.images,
        noise="const",
        screening_images=screening_images if screening_images < options.images else 0,
        images_drawn=result.images_drawn,
        images_spared=result.images_saved,
        chosen_kimg=rows[place].kimg,
        fid=rows[place].fid,
        kid=rows[place].kid,
        seed=seed,
        snapshots=rows,
        notes=notes,
    )


def _snapshot_row(values: SnapshotValues, *, chosen: bool) -> SnapshotRow:
    classes = [ClassDistances(**of_class) for of_class in values["classes"]]
    return replace(SnapshotRow(**{**values, "classes": classes}), chosen=chosen)


def _write_generator(
    generator: Path,
    snapshot: Snapshot,
    lineage: Lineage,
    classes: list[dict[str, Any]],
    record: StageRecord,
    card: dict[str, Any],
) -> None:
    with atomic_write(generator) as folder:
        folder.mkdir()
        # its JSON, and its class centres where it has them, have the same stem
        for file in snapshot.path.parent.glob(f"{snapshot.path.stem}.*"):
            shutil.copyfile(file, folder / (Path(GENERATOR).stem + file.name.removeprefix(snapshot.path.stem)))
        write_json(folder / LINEAGE, lineage.to_dict())
        write_json(folder / CLASSES, classes)
        write_json(folder / SELECTION, {**record.to_dict(), "snapshot": snapshot.path.name, "sha256": snapshot.sha256})
        write_json(folder / CARD, card)
        write_json(folder / RECORDS, record.chain())


def _class_images(
    snapshot: Snapshot,
    plan: ImagePlan,
    classes: list[dict[str, Any]],
    side_px: int,
    batch: int,
    network: Extractor,
) -> dict[str, list[Pixels]]:
    """A snapshot's first images of each class, class name -> images."""
    return {
        entry["name"]: list(
            snapshot.images(plan.first_of_class(entry["index"], _IMAGES_PER_CLASS), side_px, batch, network.device)
        )
        for entry in classes
    }


def _notes(network: Extractor, chosen: SnapshotValues, rule: SelectionRule) -> list[str]:
    notes = []
    if not network.trained:
        notes.append(f"The extractor {network.title}. Nothing here may be used to compare generators.")
    if chosen["images"] < PROTOCOL_IMAGES:
        notes.append(
            f"FID of {chosen['images']} images and {chosen['tiles']} tiles, not the protocol's {PROTOCOL_IMAGES}: "
            "biased upwards."
        )
    if rule.problem and rule.rule == "kid_held_out":
        notes.append(f"The held-out tiles did not decide: {rule.problem}.")
    return notes
