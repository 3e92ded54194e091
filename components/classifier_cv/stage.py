"""Classifiers of one fold: every arm and seed, trained on its training patients and tested on its test patients."""

from collections.abc import Sequence

import pandas as pd

from components.classifier_cv.checkpoints import checkpoint_folder
from components.classifier_cv.data import FoldTiles, read_fold_tiles
from components.classifier_cv.metrics import count_trainings
from components.classifier_cv.multi_gpu import train_on_devices
from components.classifier_cv.options import GROUP, ClassifierOptions
from components.classifier_cv.page import page_html
from components.classifier_cv.training_job import JobResult, TrainingJob
from components.classifier_cv.training_sets import (
    ArmAdditions,
    check_schemes,
    leakage_mark,
    select_additions,
    synthetic_lineage,
)
from components.core.classifier.frozen import write_classifiers
from components.core.classifier.predictions import class_names, write_predictions
from components.core.data.archive import ImageArchive
from components.core.data.file_names import ARM_COUNTS, LINEAGE, RECORDS
from components.core.features.backbones import check_input_px
from components.core.io.atomic_files import atomic_write, digest, write_json, write_text
from components.core.options.parse import check_options, result_values
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import Lineage
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import StudyPlan
from components.core.records.classifier_cv import ClassifierRecord, ClassifierRow, EpochRow
from components.core.records.stage_record import StageRecord
from components.core.runtime.device import pick_devices
from components.core.telemetry.stage import instrumented

FEWEST_SEEDS = 3


@instrumented
def run(
    *,
    tiles: str,
    plan: str,
    study: str,
    synthetic: str,
    predictions: str,
    classifiers: str,
    classifier_page: str,
    classifier_record: str,
    fold: str,
    scheme: str = "binary",
    arms: Sequence[str] = ("none",),
    seed: int = 0,
    options: ClassifierOptions = ClassifierOptions(),
    shared: SharedOptions = SharedOptions(),
) -> None:
    """Trains the classifiers of one fold, every arm with every seed of the study plan, and tests them.

    All arms train on the real tiles of the fold's training patients; an arm with a generator adds synthetic tiles, its
    control `-real` as many real training tiles again. Validation and test tiles are real. Adam, cross-entropy, learning
    rate halved after 10 epochs without progress; the weights with the lowest validation loss stay. Training tiles are
    flipped, turned, cropped, given the low frequencies of another training tile (Fourier domain adaptation), equalised
    (CLAHE) or changed in brightness and contrast, blurred and made noisy; validation and test tiles are left as they
    are and cover their fields whole. With `published`, Thy-GAN's way: whole fields are reconstructed from their tiles,
    trained on by a random square each epoch and predicted by one square each (drawn by the seed; theirs was unseeded),
    one prediction a field, and after the first step of an epoch the network trains in evaluation mode.

    Args:
        tiles: TileSet (zip) of the study with labels.
        plan: SplitPlan (JSON) of its manifest.
        study: StudyPlan (JSON): it names the arms, the classifier seeds and the threshold rule.
        synthetic: SyntheticTiles (zip) of this fold and scheme.
        predictions: Predictions (CSV) to write, one row per test tile, arm and seed.
        classifiers: Folder of frozen classifiers to write.
        classifier_page: Page (HTML) to write: curves and counts.
        classifier_record: Record (JSON) to write.
        fold: Fold of the plan, "0", "1", … or "all" (no test patients, so the predictions are empty).
        scheme: Label scheme of the synthetic tiles, "binary" or "diagnosis"; all predict the binary class.
        arms: Arms to train, of the study plan and of this scheme.
        seed: Seed of the controls' draws and of the stain fit's pixels; the classifiers' seeds are the study plan's.
        options: Options of the stage.
        shared: Options that several stages share.

    Raises:
        LeakageError: The synthetic tiles may come from patients of the validation or test part.
        ConfigError: Arms outside the study plan or the scheme, or options out of their range.
        DataError: Tiles without labels, of several sizes or magnifications; synthetic tiles of another size.
        WeightsError: No weights for the backbone.
        TrainingError: The loss of a training is not finite.
    """
    options, shared = check_options(options, GROUP), check_options(shared, "shared")
    check_input_px(options.input_px)
    devices, names = pick_devices(shared.device), list(arms)
    split_plan, study_plan = SplitPlan.read(plan), StudyPlan.read(study)
    study_plan.refuse_other(names)
    check_schemes(names, scheme)
    with ImageArchive(tiles) as real, ImageArchive(synthetic) as generated:
        upstream = generated.attachment(RECORDS)
        with StageRecord(classifier_record, "classifier_cv", upstream=upstream, fold=fold, scheme=scheme) as record:
            origin = synthetic_lineage(generated)
            mark = leakage_mark(origin, split_plan, fold, scheme, shared.allow_leakage, shared.trust_origin)
            fold_tiles = read_fold_tiles(real, generated, split_plan, fold, shared.published)
            train_table = fold_tiles.parts["train"].table
            additions = {name: select_additions(name, train_table, generated, scheme, seed) for name in names}
            config = {
                "options": result_values(options),
                "published": shared.published,
                "weights_dir": shared.weights_dir,
                "seed": seed,
                "tiles": _tiles_digest(fold_tiles),
                "arms": generated.attachment(ARM_COUNTS),
            }
            with (
                atomic_write(classifiers) as folder,
                checkpoint_folder(
                    shared.checkpoint_uri, shared.checkpoint_minutes, scheme, fold, config
                ) as checkpoints,
            ):
                job = TrainingJob(
                    tiles=fold_tiles,
                    additions=additions,
                    marks={name: mark if len(additions[name].synthetic) else "" for name in names},
                    fold=fold,
                    scheme=scheme,
                    study=study_plan.digest,
                    threshold=study_plan.threshold,
                    options=options,
                    published=shared.published,
                    weights_dir=shared.weights_dir,
                    seed=seed,
                    checkpoints=checkpoints,
                    folder=folder,
                )
                pairs = [(name, number) for name in names for number in study_plan.seeds]
                trainings = train_on_devices(job, pairs, devices)
                results = list(count_trainings(trainings, names, len(study_plan.seeds)))
                summary = _summarize(job, results)
                record.set(summary)
                write_classifiers(folder, [result.classifier for result in results])
                lineage = _lineage(split_plan, fold, scheme, origin, shared.trust_origin)
                write_json(folder / LINEAGE, lineage.to_dict())
                write_json(folder / RECORDS, record.chain())
            tables = [result.predictions for result in results]
            write_predictions(predictions, tables)
            title, classes = f"Classifiers: {scheme}, fold {fold}", class_names(study_plan.class_map)
            notes = _notes(study_plan, shared.published)
            write_text(classifier_page, page_html(title, notes, summary, pd.concat(tables), classes))


def _notes(study: StudyPlan, published: bool) -> list[str]:
    """Sentences that a reader of the page must know before the numbers."""
    notes = []
    if study.demonstration:
        notes.append("Demonstration data: no evidence.")
    if (count := len(study.seeds)) < FEWEST_SEEDS:
        notes.append(
            f"{count} classifier{'s' if count > 1 else ''} per arm: the variation between trainings isn't shown; it "
            f"takes {FEWEST_SEEDS}."
        )
    if published:
        notes.append(
            "Thy-GAN's way: a prediction is one square of a field, and after the first step of an epoch the network "
            "trains in evaluation mode."
        )
    return notes


def _summarize(job: TrainingJob, results: Sequence[JobResult]) -> ClassifierRecord:
    """The stage's record."""
    real_tiles = len(job.tiles.parts["train"].table)
    return ClassifierRecord(
        backbone=job.options.backbone,
        input_px=job.options.input_px,
        backbone_trained=job.options.pretrained,
        weights_sha256=results[0].weights_sha256,
        tiles_without_stain=sum({result.classifier.arm: result.unstained for result in results}.values()),
        classifier_seeds=len({result.classifier.seed for result in results}),
        published=job.published,
        arms=[_classifier_row(result, real_tiles, job.additions[result.classifier.arm]) for result in results],
        history=[
            EpochRow(arm=result.classifier.arm, seed=result.classifier.seed, **epoch)
            for result in results
            for epoch in result.training.history
        ],
        parts=job.tiles.counts(),
    )


def _classifier_row(result: JobResult, real_tiles: int, additions: ArmAdditions) -> ClassifierRow:
    return ClassifierRow(
        arm=result.classifier.arm,
        seed=result.classifier.seed,
        epochs=len(result.training.history),
        best_epoch=result.training.best_epoch,
        val_auroc=result.training.val_auroc,
        real_tiles=real_tiles,
        added_tiles=additions.count,
        threshold=result.classifier.threshold,
        mark=result.classifier.mark,
    )


def _tiles_digest(tiles: FoldTiles) -> str:
    """SHA-256 of every tile's bytes, part, class and position."""
    columns = ["file", "sha256", "label", "site", "source", "x", "y"]
    tables = [*(part.rows for part in tiles.parts.values()), tiles.synthetic]
    return digest([table.reindex(columns=columns).to_csv(index=False) for table in tables])


def _lineage(plan: SplitPlan, fold: str, scheme: str, origin: Lineage, trusted: str) -> Lineage:
    """Everyone that these classifiers have seen: validation selected their weights, the generator drew their tiles."""
    patients = plan.part(fold, "train", "val") | set(origin.patients)
    return Lineage(plan.key_id, plan.digest, fold, scheme, sorted(patients), trusted or origin.trusted)
