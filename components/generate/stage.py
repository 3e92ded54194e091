"""generate: the synthetic tiles of every arm, each with a row in the manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.archive_reference import localize
from components.core.data.class_samples import sample_of_class
from components.core.data.file_names import ARM_COUNTS, CARD, CLASSES, GENERATOR, LINEAGE, RECORDS
from components.core.data.images import Pixels
from components.core.errors import ConfigError, DataError
from components.core.features.extractors import Extractor, load_extractor
from components.core.io.atomic_files import file_sha256, read_json, write_text
from components.core.options.parse import check_options
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import Lineage, refuse_leak
from components.core.protocol.split_plan import SplitPlan
from components.core.records.generate import ArmCountRow, ClassFidelityRow, GenerationRecord
from components.core.records.stage_record import StageRecord
from components.core.runtime.device import pick_devices
from components.core.runtime.progress import track
from components.core.stylegan2 import Generator
from components.core.stylegan2.centres import centres_of
from components.core.stylegan2.snapshot import load_generator
from components.core.telemetry.live import count_items
from components.core.telemetry.stage import instrumented
from components.generate.card import synthetic_card
from components.generate.fidelity import ClassStats, class_fidelity
from components.generate.inspection import Inspection, make_inspection
from components.generate.multi_gpu import GeneratorPool, GeneratorWorker
from components.generate.options import GenerationOptions
from components.generate.page import page_html
from components.generate.rejection_sampling import sample_class
from components.generate.sampling_plan import SamplingPlan, make_sampling_plan

_IMAGES_PER_CLASS = 18  # on the page


@instrumented
def run(
    *,
    generator: str,
    dataset: str,
    held_out: str,
    plan: str,
    fold: str,
    synthetic: str,
    generation_page: str,
    generation_record: str,
    scheme: str = "binary",
    arms: Sequence[str] = ("bi100",),
    seed: int = 0,
    options: GenerationOptions = GenerationOptions(),
    shared: SharedOptions = SharedOptions(),
) -> None:
    """Draws the synthetic tiles that the arms of one scheme add, drops near-copies, and measures each class's fidelity.

    Args:
        generator: Generator folder of fid_select.
        dataset: GanDataset (zip) of the fold: its counts give the arms' counts, its tiles must not be copied.
        held_out: HeldOut (zip) of the fold: real tiles that the near-copy thresholds are fitted to.
        plan: SplitPlan (JSON).
        fold: Fold of the plan whose classifier the tiles are for, "0", "1", … or "all".
        synthetic: SyntheticTiles (zip) to write.
        generation_page: HTML page to write: real beside generated tiles, near-copies, the set's card.
        generation_record: Record (JSON) to write.
        scheme: The generator's label scheme: "binary" or "diagnosis".
        arms: Arms of the study; arms of another scheme, arms without a generator, and controls are ignored.
        seed: Seed from which the latent seed of every image follows, at least 0.
        options: Options of the stage.
        shared: Options that several stages share; `extractor`, `extractor_px`, `weights_dir`, `device`,
            `allow_leakage` and `trust_origin` are read.

    Raises:
        ConfigError: An option out of its range, an unknown arm, or parameter files that do not fit.
        DataError: Generator and data do not belong together, or the generator has memorised its tiles.
        LeakageError: The generator saw a validation or test patient of the fold.
        WeightsError: The extractor's weights are missing, or are not those that were registered.
    """
    options = check_options(options, "generation")
    if seed < 0:
        raise ConfigError(f"seed is {seed}: give a seed of at least 0.")
    folder, split_plan, devices = Path(generator), SplitPlan.read(plan), pick_devices(shared.device)
    lineage = _read_lineage(folder, fold, scheme, shared.trust_origin)
    mark = refuse_leak(
        lineage,
        split_plan.key_id,
        split_plan.part(fold, "val", "test"),
        f"The generator of fold {lineage.fold} ({lineage.scheme})",
        shared.allow_leakage,
        shared.trust_origin,
    )
    upstream = read_json(folder / RECORDS) if (folder / RECORDS).exists() else None
    with (
        TemporaryDirectory() as scratch,
        ImageArchive(localize(dataset, Path(scratch))) as real,  # gate, fidelity and page read all of it
        ImageArchive(localize(held_out, Path(scratch))) as unseen,
        StageRecord(generation_record, "generate", upstream=upstream, fold=fold, scheme=scheme) as record,
    ):
        generators = [load_generator(folder, device) for device in devices]
        classes = _read_classes(folder, generators[0], real, lineage, scheme)
        tiles = {entry["index"]: int((real.manifest["label"] == entry["index"]).sum()) for entry in classes}
        sampling = make_sampling_plan(arms, scheme, tiles, classes, options.gan_params, seed)
        extractors = [
            load_extractor(
                shared.extractor, weights_dir=shared.weights_dir, device=str(device), input_px=shared.extractor_px
            )
            for device in devices
        ]
        centres = None if options.psi == 1 else centres_of(folder, generators[0])
        with_gate = options.near_copy_gate and bool(sampling.images_per_class)
        inspection = make_inspection(extractors[0], real, unseen, options.batch, with_gate=with_gate)
        stats = {entry["index"]: ClassStats() for entry in classes}
        constants = _manifest_constants(folder, real, options.psi)
        pairs = zip(generators, extractors, strict=True)
        with (
            ArchiveWriter(synthetic) as archive,
            GeneratorPool([GeneratorWorker(G, network, centres, options.psi) for G, network in pairs]) as pool,
        ):
            title = f"fold {fold} · {scheme}"
            images = _write_images(archive, pool, inspection, sampling, classes, stats, constants, options.batch, title)
            result = GenerationRecord(
                extractor=extractors[0].name,
                extractor_sha256=extractors[0].weights_sha256,
                extractor_trained=extractors[0].trained,
                extractor_px=extractors[0].input_px,
                extractor_resize=extractors[0].resize,
                tiles=sum(sampling.images_per_class.values()),
                resolution=real.resolution,
                mpp=constants["mpp"],
                near_copies=sum(inspection.log.near_copies.values()),
                near_copy_gate=options.near_copy_gate,
                near_copy_ratio=inspection.gate.ratio if inspection.gate else None,
                near_copy_apart=inspection.gate.distance if inspection.gate else None,
                generator_sha256=constants["generator"],
                psi=options.psi,
                truncated_towards="nothing" if options.psi == 1 else "the mean of each class",
                seed=seed,
                mark=mark,
                arms=_arm_counts(sampling.counts, classes, tiles),
                classes=_class_fidelities(classes, stats, inspection),
            )
            record.set(result)
            if not (lineage.patients and lineage.key_id == split_plan.key_id):
                lineage = replace(lineage, trusted=shared.trust_origin)
            rule = inspection.gate.rule if inspection.gate else ""
            card = synthetic_card(result, lineage, sampling.counts, rule)
            counts = {arm: {str(index): n for index, n in of_arm.items()} for arm, of_arm in sampling.counts.items()}
            archive.attach(LINEAGE, lineage.to_dict())
            archive.attach(CLASSES, classes)
            archive.attach(ARM_COUNTS, counts)
            archive.attach(CARD, card)
            archive.attach(RECORDS, record.chain())
        samples = {
            entry["name"]: (sample_of_class(real, entry["index"], _IMAGES_PER_CLASS), images[entry["index"]])
            for entry in classes
            if images[entry["index"]]
        }
        sentences = [
            f"{result.tiles} images at psi {options.psi:g}, stored noise; the manifest has the seed of each.",
            f"{result.near_copies} near-copies were dropped and replaced by the images of the next seeds.",
            rule or "The near-copy gate was off.",
        ]
        heading = f"Synthetic tiles · fold {fold} · {scheme}"
        marks = _page_marks(mark, extractors[0], result.classes)
        write_text(generation_page, page_html(heading, sentences, marks, result, samples, inspection.log, card))


def _write_images(
    archive: ArchiveWriter,
    pool: GeneratorPool,
    inspection: Inspection,
    sampling: SamplingPlan,
    classes: Sequence[dict[str, Any]],
    stats: Mapping[int, ClassStats],
    constants: Mapping[str, Any],
    batch: int,
    title: str,
) -> dict[int, list[Pixels]]:
    """Draws and writes the images of every class; returns the first ones of each, by class index."""
    first_images: dict[int, list[Pixels]] = {entry["index"]: [] for entry in classes}
    for entry in classes:
        index, count = entry["index"], sampling.images_per_class.get(entry["index"], 0)
        samples = sample_class(pool, inspection, index, sampling.first_seeds[index], count, batch, stats[index])
        for image, seed in track(count_items(samples, count), f"{title}: drawing {entry['name']}", count, "tiles"):
            row = {"label": entry["label"], "class": index, "diagnosis": entry["name"], "seed": seed}
            archive.add(image, {**constants, **row})
            if len(first_images[index]) < _IMAGES_PER_CLASS:
                first_images[index].append(image)
    return first_images


def _manifest_constants(folder: Path, real: ImageArchive, psi: float) -> dict[str, Any]:
    """The columns that have one value in all manifest rows."""
    known = real.manifest["mpp"].unique()
    mpp = None if len(known) != 1 or np.isnan(known[0]) else float(known[0])  # None: unknown or mixed
    return {"site": "synthetic", "mpp": mpp, "psi": psi, "generator": file_sha256(folder / GENERATOR)}


def _class_fidelities(
    classes: Sequence[dict[str, Any]], stats: Mapping[int, ClassStats], inspection: Inspection
) -> list[ClassFidelityRow]:
    return [
        class_fidelity(
            entry["name"],
            entry["index"],
            len(classes) if inspection.probe else 1,
            stats[entry["index"]],
            inspection.train_stats[entry["index"]],
            inspection.held_out_stats[entry["index"]],
            inspection.log.near_copies.get(entry["index"], 0),
        )
        for entry in classes
    ]


def _arm_counts(
    counts: Mapping[str, Mapping[int, int]], classes: Sequence[dict[str, Any]], tiles: Mapping[int, int]
) -> list[ArmCountRow]:
    return [
        ArmCountRow(
            arm=arm,
            class_index=entry["index"],
            name=entry["name"],
            label=entry["label"],
            train_tiles=tiles[entry["index"]],
            added=of_arm.get(entry["index"], 0),
        )
        for arm, of_arm in counts.items()
        for entry in classes
    ]


def _page_marks(mark: str, network: Extractor, classes: Sequence[ClassFidelityRow]) -> list[str]:
    marks = [mark] if mark else []
    if not network.trained:
        marks.append(f"The tiles were compared in features of {network.title}.")
    return marks + [f"Alarm: {row.alarm}." for row in classes if row.alarm]


def _read_lineage(folder: Path, fold: str, scheme: str, trust_origin: str) -> Lineage:
    """The generator's lineage; an empty one where it has none and its origin is stated."""
    if trust_origin and not (folder / LINEAGE).exists():
        return Lineage(key_id="", plan="", fold=fold, scheme=scheme)
    return Lineage.read(folder / LINEAGE)


def _read_classes(
    folder: Path, G: Generator, real: ImageArchive, lineage: Lineage, scheme: str
) -> list[dict[str, Any]]:
    """The classes of the data; raises DataError where generator and data do not belong together."""
    classes: list[dict[str, Any]] = real.attachment(CLASSES)
    if not classes or not (folder / CLASSES).exists() or read_json(folder / CLASSES) != classes:
        raise DataError(
            f"{folder} and {real.path} have different classes: give the generator and the data of one scheme."
        )
    if lineage.scheme != scheme or len(classes) != G.c_dim:
        raise DataError(
            f"The generator in {folder} has {G.c_dim} classes of the scheme {lineage.scheme}, but {len(classes)} "
            f"classes of {scheme} are needed: give the generator of that scheme."
        )
    if G.img_resolution != real.resolution:
        raise DataError(
            f"The generator in {folder} draws {G.img_resolution} px and the tiles of {real.path} have "
            f"{real.resolution} px: give the data that it was trained on."
        )
    return classes
