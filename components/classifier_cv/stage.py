"""Classifiers of one fold: every arm and seed on the fold's training patients, told on its test patients."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from components.classifier_cv.checkpoints import kept_states
from components.classifier_cv.data import FoldTiles, read_fold
from components.classifier_cv.metrics import counted
from components.classifier_cv.multi_gpu import trained
from components.classifier_cv.page import page_html
from components.classifier_cv.train import Settings
from components.classifier_cv.training_job import JobResult, TrainingJob
from components.classifier_cv.training_sets import (
    ARMS_FILE,
    Arm,
    check_chain,
    compose,
    synthetic_lineage,
    synthetic_mark,
)
from components.core.classifier.frozen import write_classifiers
from components.core.classifier.predictions import class_names, write_predictions
from components.core.data.archive import LINEAGE, ImageArchive
from components.core.features.backbones import check_input_px
from components.core.io.atomic_files import atomic_write, digest, write_json, write_text
from components.core.protocol.lineage import Lineage
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import StudyPlan
from components.core.records.stage_record import RECORDS, StageRecord
from components.core.runtime.device import pick_devices
from components.core.stain.normalization import check_method
from components.core.telemetry.stage import instrumented

FEWEST_SEEDS = 3


@instrumented
def run(
    *,
    tiles: str,
    plan: str,
    study: str,
    synthetic: str,
    fold: str,
    predictions: str,
    classifiers: str,
    page: str,
    metrics: str,
    scheme: str = "binary",
    arms: Sequence[str] = ("none",),
    backbone: str = "efficientnet_lite0",
    pretrained: bool = True,
    weights_dir: str = "",
    input_px: int = 224,
    epochs: int = 500,
    patience: int = 50,
    batch: int = 64,
    learning_rate: float = 0.001,
    weight_decay: float = 1e-6,
    stain_method: str = "macenko",
    published: bool = False,
    checkpoint_uri: str = "",
    checkpoint_minutes: float = 10.0,
    seed: int = 0,
    device: str = "auto",
    allow_leakage: bool = False,
    trust_origin: str = "",
) -> None:
    """Trains the classifiers of one fold, every arm with every seed of the study plan, and tests them.

    All arms train on the real tiles of the fold's training patients; an arm with a generator adds synthetic tiles, its
    control `-real` as many real training tiles again. Validation and test tiles are real. Adam, cross-entropy, learning
    rate halved after 10 epochs without progress; the weights with the lowest validation loss stay. Training tiles are
    flipped, turned, cropped, given the low frequencies of another training tile (Fourier domain adaptation), equalised
    (CLAHE) or changed in brightness and contrast, blurred and made noisy; validation and test tiles are left as they
    are and cover their fields whole.

    Args:
        tiles: Image archive of the study's tiles with their labels.
        plan: Split plan (JSON).
        study: Study plan (JSON): it names the arms, the classifier seeds and the threshold rule.
        synthetic: Archive of synthetic tiles of this fold and scheme.
        fold: Fold of the plan, "0", "1", … or "all" (no test patients, so the predictions are empty).
        predictions: Where the predictions on the test tiles go, CSV, one row per tile, arm and seed.
        classifiers: Folder for the frozen classifiers.
        page: Where the HTML page with curves and counts goes.
        metrics: Where the record goes.
        scheme: "binary" or "diagnosis": chain of the synthetic tiles; every classifier tells the binary class.
        arms: Arms to train, of the study plan and of this scheme.
        backbone: "efficientnet_lite0" or a torchvision classification network, for example "resnet101".
        pretrained: Start from ImageNet weights.
        weights_dir: Folder with the weights files; '' = where they are usually found.
        input_px: Side that tiles are resized to for the network, pixels, a multiple of 32.
        epochs: Most epochs of one training, at least 1.
        patience: Epochs without a lower validation loss after which a training stops, at least 1.
        batch: Most tiles per step, at least 2.
        learning_rate: Adam's, above 0.
        weight_decay: Adam's, 0 or more.
        stain_method: What the arm stain-norm normalises by: "macenko" or "reinhard"; stain-aug varies along Macenko's.
        published: Repeat what of Thy-GAN's way changes numbers: whole fields are rebuilt from their tiles, trained on
            by a random square each epoch and told by one square each (drawn by the seed; theirs was unseeded), one
            prediction a field; after the first step of an epoch the network trains in evaluation mode.
        checkpoint_uri: Folder or s3://bucket/prefix where trainings are kept until the stage is done; the same command
            goes on from there after a kill. '' = it begins anew.
        checkpoint_minutes: Between two states of one training, which is kept at its end in any case; 0 = every epoch.
        seed: Of the controls' draws and the stain fit's pixels; the classifiers' seeds are the study plan's.
        device: "auto" (every GPU, or the CPU where there is none), "cpu", "cuda" (every GPU), "cuda:N", or several with
            commas; each trains one arm and seed at a time.
        allow_leakage: Go on with synthetic tiles whose generator saw validation or test patients; marks every number.
        trust_origin: Where synthetic tiles without proof come from, as a sentence; it marks every number.

    Raises:
        LeakageError: The synthetic tiles may know patients of the validation or test set.
        ConfigError: Arms outside the study plan or the scheme, options outside their range.
        DataError: Tiles without labels, of several sizes or magnifications; synthetic tiles of another size.
        WeightsError: No weights for the backbone.
        TrainingError: A training whose loss is not a number any more.
    """
    settings = Settings(check_input_px(input_px), epochs, patience, batch, learning_rate, weight_decay, published)
    settings.check()
    devices, names = pick_devices(device), list(arms)
    split, decided = SplitPlan.read(plan), StudyPlan.read(study)
    decided.refuse_other(names)
    check_chain(names, scheme)
    check_method(stain_method)
    with ImageArchive(tiles) as real, ImageArchive(synthetic) as made:
        upstream = made.attachment(RECORDS)
        with StageRecord(metrics, "classifier_cv", upstream=upstream, fold=fold, scheme=scheme) as record:
            origin = synthetic_lineage(made)
            leak = synthetic_mark(origin, split, fold, scheme, allow_leakage, trust_origin)
            shared = read_fold(real, made, split, fold, published)
            composed = {name: compose(name, shared.parts["train"].table, made, scheme, seed) for name in names}
            task = {
                "settings": asdict(settings),
                "network": [backbone, pretrained, weights_dir],
                "stain": stain_method,
                "seed": seed,
                "tiles": _data_digest(shared),
                "arms": made.attachment(ARMS_FILE),
            }
            with (
                atomic_write(classifiers) as folder,
                kept_states(checkpoint_uri, checkpoint_minutes, scheme, fold, task) as kept,
            ):
                work = TrainingJob(
                    tiles=shared,
                    arms=composed,
                    marks={name: leak if len(arm.synthetic) else "" for name, arm in composed.items()},
                    fold=fold,
                    scheme=scheme,
                    study=decided.digest,
                    threshold=decided.threshold,
                    settings=settings,
                    backbone=backbone,
                    pretrained=pretrained,
                    weights_dir=weights_dir,
                    stain_method=stain_method,
                    seed=seed,
                    kept=kept,
                    folder=folder,
                )
                trainings = trained(work, [(name, number) for name in names for number in decided.seeds], devices)
                done = list(counted(trainings, names, len(decided.seeds)))
                rows = [_arm_row(one, len(shared.parts["train"].table), composed[one.frozen.arm]) for one in done]
                history = [
                    {"arm": one.frozen.arm, "seed": one.frozen.seed, **epoch}
                    for one in done
                    for epoch in one.trained.history
                ]
                record["backbone"], record["input_px"] = backbone, input_px
                record["backbone_trained"], record["weights_sha256"] = pretrained, done[0].weights_sha256
                record["tiles_without_stain"] = sum({one.frozen.arm: one.unstained for one in done}.values())
                record["classifier_seeds"], record["published"] = len(decided.seeds), published
                record.table("arms", rows)
                record.table("history", history)
                record.table("parts", shared.counts())
                write_classifiers(folder, [one.frozen for one in done])
                write_json(folder / LINEAGE, _lineage(split, fold, scheme, origin, trust_origin).to_dict())
                write_json(folder / RECORDS, record.chain())
            told = [one.told for one in done]
            write_predictions(predictions, told)
            title, classes = f"Classifiers: {scheme}, fold {fold}", class_names(decided.class_map)
            notes = _notes(decided, published)
            write_text(page, page_html(title, notes, shared.counts(), rows, history, pd.concat(told), classes))


def _notes(study: StudyPlan, published: bool) -> list[str]:
    """What a reader of the page must know before the numbers."""
    notes = []
    if study.demonstration:
        notes.append("Demonstration data: no evidence.")
    if (count := len(study.seeds)) < FEWEST_SEEDS:
        notes.append(
            f"{count} classifier{'s' if count > 1 else ''} per arm: what chance in training alone moves isn't shown; "
            f"it takes {FEWEST_SEEDS}."
        )
    if published:
        notes.append(
            "Thy-GAN's way: a prediction is one square of a field, and after the first step of an epoch the network "
            "trains in evaluation mode."
        )
    return notes


def _arm_row(done: JobResult, real_tiles: int, arm: Arm) -> dict[str, Any]:
    return {
        "arm": done.frozen.arm,
        "seed": done.frozen.seed,
        "epochs": len(done.trained.history),
        "best_epoch": done.trained.best_epoch,
        "val_auroc": done.trained.val_auroc,
        "real_tiles": real_tiles,
        "added_tiles": arm.added,
        "threshold": done.frozen.threshold,
        "mark": done.frozen.mark,
    }


def _data_digest(shared: FoldTiles) -> str:
    """Of every tile, its part and its class."""
    columns = ["file", "sha256", "label", "site", "source", "x", "y"]
    tables = [*(part.rows for part in shared.parts.values()), shared.synthetic]
    return digest([table.reindex(columns=columns).to_csv(index=False) for table in tables])


def _lineage(split: SplitPlan, fold: str, scheme: str, origin: Lineage, trusted: str) -> Lineage:
    """Everyone these classifiers have seen: validation chose their weights, the generator drew their tiles."""
    patients = split.part(fold, "train", "val") | set(origin.patients)
    return Lineage(split.key_id, split.digest, fold, scheme, sorted(patients), trusted or origin.trusted)
