"""Classifiers of one fold: every arm and seed on the fold's training patients, told on its test patients."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from components.classifier_cv.arms import check_chain, compose, synthetic_lineage, synthetic_mark
from components.classifier_cv.data import arm_tiles, read_fold
from components.classifier_cv.page import page_html
from components.classifier_cv.train import Settings, Trained, train
from components.core.archive import LINEAGE, ImageArchive
from components.core.classifier.frozen import Frozen, save_weights, write_classifiers
from components.core.classifier.predictions import (
    class_names,
    logits,
    positive,
    prediction_rows,
    write_predictions,
)
from components.core.device import pick_device
from components.core.features.backbones import build_backbone, check_input_px
from components.core.files import file_sha256, write_json, write_text, written
from components.core.lineage import Lineage
from components.core.results import RECORDS, Record
from components.core.splits import SplitPlan
from components.core.study import StudyPlan
from components.core.telemetry import watched


@watched
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
    seed: int = 0,
    device: str = "auto",
    allow_leakage: bool = False,
    trust_origin: str = "",
) -> None:
    """Trains the classifiers of one fold, every arm with every seed of the study plan, and tests them.

    All arms train on the real tiles of the fold's training patients; an arm with a generator adds synthetic tiles, its
    control `-real` as many real training tiles again. Validation and test tiles are real. Adam, cross-entropy, learning
    rate halved after 10 epochs without progress; the weights with the lowest validation loss stay.

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
        seed: Of the controls' draws and the stain fit's pixels; the classifiers' seeds are the study plan's.
        device: "auto", "cpu" or "cuda".
        allow_leakage: Go on with synthetic tiles whose generator saw validation or test patients; marks every number.
        trust_origin: Where synthetic tiles without proof come from, as a sentence; it marks every number.

    Raises:
        LeakageError: The synthetic tiles may know patients of the validation or test set.
        ConfigError: Arms outside the study plan or the scheme, options outside their range.
        DataError: Tiles without labels, of several sizes or magnifications; synthetic tiles of another size.
        WeightsError: No weights for the backbone.
        TrainingError: A training whose loss is not a number any more.
    """
    settings = Settings(check_input_px(input_px), epochs, patience, batch, learning_rate, weight_decay).check()
    place, names = pick_device(device), list(arms)
    split, decided = SplitPlan.read(plan), StudyPlan.read(study)
    decided.refuse_other(names)
    check_chain(names, scheme)
    with ImageArchive(tiles) as real, ImageArchive(synthetic) as made:
        upstream = made.attachment(RECORDS)
        with Record(metrics, "classifier_cv", upstream=upstream, fold=fold, scheme=scheme) as record:
            origin = synthetic_lineage(made)
            leak = synthetic_mark(origin, split, fold, scheme, allow_leakage, trust_origin)
            shared = read_fold(real, made, split, fold)
            rows, history, frozen, told, unstained = [], [], [], [], 0
            with written(classifiers) as folder:
                for name in names:
                    arm = compose(name, shared.parts["train"].table, made, scheme, seed)
                    data = arm_tiles(shared, arm, seed, place)
                    unstained += data.unstained
                    marks = [leak if len(arm.synthetic) else "", data.stain.note if data.stain else ""]
                    for number in decided.seeds:
                        network = build_backbone(
                            backbone, num_classes=2, pretrained=pretrained, weights_dir=weights_dir, seed=number
                        )
                        network.module.to(place)
                        what = f"{scheme} · {fold} · {name} · seed {number}"
                        trained = train(network, data, settings, number, decided.threshold, what)
                        file = save_weights(network, folder, f"{name}/seed{number}.safetensors")
                        one = Frozen(
                            arm=name,
                            seed=number,
                            fold=fold,
                            scheme=scheme,
                            file=file,
                            sha256=file_sha256(folder / file),
                            backbone=backbone,
                            input_px=input_px,
                            resolution=shared.resolution,
                            mpp=shared.mpp,
                            threshold=trained.threshold,
                            stain=data.stain.to_dict() if data.stain else None,
                            mark="; ".join(mark for mark in marks if mark),
                        )
                        answers = logits(network, data.test, input_px, batch, place)
                        told.append(prediction_rows(shared.parts["test"].table, positive(answers), one))
                        history += [{"arm": name, "seed": number, **epoch} for epoch in trained.history]
                        rows.append(_arm_row(one, trained, len(shared.parts["train"].table), arm.added))
                        frozen.append(one)
                record["backbone"], record["input_px"] = backbone, input_px
                record["backbone_trained"], record["weights_sha256"] = network.trained, network.weights_sha256
                record["tiles_without_stain"] = unstained
                record.table("arms", rows)
                record.table("history", history)
                record.table("parts", shared.counts())
                write_classifiers(folder, frozen)
                write_json(folder / LINEAGE, _lineage(split, fold, scheme, origin, trust_origin).to_dict())
                write_json(folder / RECORDS, record.chain())
            write_predictions(predictions, told)
            title = f"Classifiers: {scheme}, fold {fold}"
            names_of_classes = class_names(decided.class_map)
            write_text(page, page_html(title, shared.counts(), rows, history, pd.concat(told), names_of_classes))


def _arm_row(one: Frozen, trained: Trained, real_tiles: int, added_tiles: int) -> dict[str, Any]:
    return {
        "arm": one.arm,
        "seed": one.seed,
        "epochs": len(trained.history),
        "best_epoch": trained.best_epoch,
        "val_auroc": trained.val_auroc,
        "real_tiles": real_tiles,
        "added_tiles": added_tiles,
        "threshold": one.threshold,
        "mark": one.mark,
    }


def _lineage(split: SplitPlan, fold: str, scheme: str, origin: Lineage, trusted: str) -> Lineage:
    """Everyone these classifiers have seen: validation chose their weights, the generator drew their tiles."""
    patients = split.part(fold, "train", "val") | set(origin.patients)
    return Lineage(split.key_id, split.digest, fold, scheme, sorted(patients), trusted or origin.trusted)
