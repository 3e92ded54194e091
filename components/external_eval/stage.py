"""Frozen classifiers on other hospitals' tiles: the only stage, with umap after it, that reads external labels."""

from collections.abc import Sequence

import pandas as pd
import torch

from components.core.classifier.frozen import FrozenClassifier, read_classifiers
from components.core.classifier.predictions import (
    class_names,
    logits,
    positive_probability,
    prediction_rows,
    write_predictions,
)
from components.core.classifier.tiles import load_classifier_tiles, site_mpp
from components.core.data.archive import ImageArchive
from components.core.data.file_names import LINEAGE, RECORDS
from components.core.data.labels import join_labels
from components.core.data.manifest import read_manifest
from components.core.io.atomic_files import read_json, write_json
from components.core.options.parse import check_options
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import Lineage
from components.core.protocol.study_plan import StudyPlan
from components.core.records.external_eval import EvaluationRecord
from components.core.records.stage_record import StageRecord
from components.core.runtime.device import pick_device
from components.core.runtime.progress import log, track
from components.core.stain.normalization import NORMALISE, StainFit, normalise
from components.core.telemetry.stage import instrumented
from components.external_eval.metrics import roc_and_confusion, site_rows
from components.external_eval.options import GROUP, EvaluationOptions
from components.external_eval.sites import (
    admit_sites,
    check_classes,
    refuse_other_plan,
    refuse_seen_patients,
    refuse_unfit,
)


@instrumented
def run(
    *,
    classifiers: Sequence[str],
    study: str,
    tiles: str,
    labels: str,
    external_predictions: str,
    roc: str,
    evaluation_record: str,
    options: EvaluationOptions = EvaluationOptions(),
    shared: SharedOptions = SharedOptions(),
) -> None:
    """Evaluates every frozen classifier, all arms and seeds, on every external site.

    Nothing is fitted here: weights, thresholds and stain fits come with the classifiers, vote and sites from the study
    plan. Patients are the unit wherever they are known; a tile-level site gives tile metrics only. The metrics of
    always answering one class are in the same table.

    Args:
        classifiers: Folders of frozen classifiers, one per label scheme, of fold "all".
        study: StudyPlan (JSON): it names the sites, the vote and the arms.
        tiles: TileSet (zip) of the external tiles, without labels.
        labels: Manifest (CSV) of the same tiles, with labels.
        external_predictions: Predictions (CSV) to write, one row per tile, arm and seed.
        roc: ROC curve and confusion matrix (JSON) to write, of the last generator arm over all patients.
        evaluation_record: Record (JSON) to write.
        options: Options of the stage.
        shared: Options that several stages share.

    Raises:
        ConfigError: A site that the study plan does not name; classifiers of another plan, twice, or not all that it
            names; options out of their range.
        DataError: Labels of other tiles, another tile size or magnification, tiles without a class or a patient.
        LeakageError: A classifier has seen an external patient, or the opposite cannot be proven.
        WeightsError: Weights that are not the frozen ones.
    """
    options, shared = check_options(options, GROUP), check_options(shared, "shared")
    plan, device = StudyPlan.read(study), pick_device(shared.device)
    entries = [(folder, classifier) for folder in classifiers for classifier in read_classifiers(folder)]
    frozen = [classifier for _, classifier in entries]
    refuse_other_plan(frozen, plan)
    with (
        ImageArchive(tiles) as archive,
        StageRecord(evaluation_record, "external_eval", upstream=_merge_records(classifiers)) as record,
    ):
        table = join_labels(archive.manifest, read_manifest(labels))
        check_classes(table)
        table = admit_sites(table, plan)
        for folder in classifiers:
            refuse_seen_patients(table, Lineage.read(f"{folder}/{LINEAGE}"), folder)
        predictions: list[pd.DataFrame] = []
        if len(table):
            refuse_unfit(table, archive.resolution, frozen)
            images = load_classifier_tiles(archive, table, archive.resolution, "external tiles")
            predictions = _predict(entries, table, images, options.batch, device)
        else:
            log("There are no external tiles: the predictions are empty.")
        write_predictions(external_predictions, predictions)
        no_rows = prediction_rows(table.iloc[:0], positive_probability(torch.empty((0, 2))), frozen[0])
        rows = pd.concat(predictions) if predictions else no_rows
        names = class_names(plan.class_map)
        write_json(roc, roc_and_confusion(rows, plan, names))
        record.set(
            EvaluationRecord(
                tiles=len(table),
                patients=len(set(table["identity"]) - {""}),
                classifiers=len(frozen),
                study=plan.digest,
                endpoint=plan.endpoint,
                vote=plan.vote,
                threshold=plan.threshold,
                note="" if len(table) else "no external tiles were given",
                sites=site_rows(rows, plan, names, _marks(frozen, table)),
            )
        )
        record["sites"] = table["site"].nunique()  # their number, for KFP's page


def _predict(
    entries: Sequence[tuple[str, FrozenClassifier]],
    table: pd.DataFrame,
    images: torch.Tensor,
    batch: int,
    device: torch.device,
) -> list[pd.DataFrame]:
    """Prediction rows of every classifier; tiles are normalised once per stain fit."""
    sources = list(table["site"] + "/" + table["source"])
    normalised: dict[str, torch.Tensor] = {}
    predictions = []
    for folder, classifier in track(entries, "external evaluation", len(entries), "classifiers"):
        inputs = images
        if classifier.stain and classifier.stain["use"] == NORMALISE:
            if classifier.arm not in normalised:
                normalised[classifier.arm], untouched = normalise(StainFit(**classifier.stain), images, sources)
                log(f"{classifier.arm}: {untouched} of {len(images)} tiles show too little tissue and keep their stain")
            inputs = normalised[classifier.arm]
        outputs = logits(classifier.load(folder, device), inputs, classifier.input_px, batch, device)
        predictions.append(prediction_rows(table, positive_probability(outputs), classifier))
    return predictions


def _marks(classifiers: Sequence[FrozenClassifier], table: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(arm, site) -> the mark of its numbers."""
    notes = {site: "um/px unknown" if mpp is None else "" for site, mpp in site_mpp(table).items()}
    return {
        (classifier.arm, site): "; ".join(filter(None, (classifier.mark, note)))
        for classifier in classifiers
        for site, note in notes.items()
    }


def _merge_records(folders: Sequence[str]) -> list[dict[str, object]]:
    """The records of all chains, each once."""
    merged: list[dict[str, object]] = []
    for folder in folders:
        merged += [raw for raw in read_json(f"{folder}/{RECORDS}") if raw not in merged]
    return merged
