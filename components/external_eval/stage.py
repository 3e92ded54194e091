"""Frozen classifiers on other hospitals' tiles: the only stage, with umap after it, that reads external labels."""

from collections.abc import Sequence

import pandas as pd
import torch

from components.core.classifier.frozen import Frozen, read_classifiers
from components.core.classifier.predictions import (
    class_names,
    logits,
    positive,
    prediction_rows,
    write_predictions,
)
from components.core.classifier.tiles import read_tiles, site_mpp
from components.core.data.archive import LINEAGE, ImageArchive
from components.core.errors import ConfigError
from components.core.io.atomic_files import read_json, write_json
from components.core.protocol.lineage import Lineage
from components.core.protocol.study_plan import StudyPlan
from components.core.records.stage_record import RECORDS, StageRecord
from components.core.runtime.device import pick_device
from components.core.runtime.progress import log, track
from components.core.stain.normalization import NORMALISE, Stain, normalise
from components.core.telemetry.stage import instrumented
from components.external_eval.measure import roc as roc_of
from components.external_eval.measure import site_rows
from components.external_eval.sites import admitted, labelled, refuse_other_plan, refuse_seen, refuse_unfit


@instrumented
def run(
    *,
    classifiers: Sequence[str],
    study: str,
    tiles: str,
    labels: str,
    predictions: str,
    roc: str,
    metrics: str,
    batch: int = 128,
    device: str = "auto",
) -> None:
    """Evaluates every frozen classifier, all arms and seeds, on every external site.

    Nothing is fitted here: weights, thresholds and stain fits come with the classifiers, vote and sites from the study
    plan. Patients are the unit wherever they are known; a tile-level site gives tile metrics only. What always
    answering one class would score stands in the same table.

    Args:
        classifiers: Folders of frozen classifiers, one per label scheme, of fold "all".
        study: Study plan (JSON): it names the sites, the vote and the arms.
        tiles: Image archive of the external tiles, without labels.
        labels: Manifest (CSV) of the same tiles, with labels.
        predictions: Where the predictions go, CSV, one row per tile, arm and seed.
        roc: Where ROC curve and confusion matrix of the last generator arm go, JSON, over all patients.
        metrics: Where the record goes.
        batch: Tiles at once, at least 1.
        device: "auto", "cpu" or "cuda".

    Raises:
        ConfigError: A site that the study plan does not name; classifiers that were trained for another plan, are
            given twice, or are not all that it names.
        DataError: Labels of other tiles, another tile size or magnification, tiles without a class or a patient.
        LeakageError: A classifier has seen an external patient, or it cannot be proven that it has not.
        WeightsError: Weights that are not the frozen ones.
    """
    if batch < 1:
        raise ConfigError(f"A batch holds at least 1 tile, not {batch}.")
    decided, place = StudyPlan.read(study), pick_device(device)
    frozen = [(folder, one) for folder in classifiers for one in read_classifiers(folder)]
    refuse_other_plan([one for _, one in frozen], decided)
    with (
        ImageArchive(tiles) as archive,
        StageRecord(metrics, "external_eval", upstream=_upstream(classifiers)) as record,
    ):
        table = admitted(labelled(archive.manifest, labels), decided)
        for folder in classifiers:
            refuse_seen(table, Lineage.read(f"{folder}/{LINEAGE}"), folder)
        if len(table):
            refuse_unfit(table, archive.resolution, [one for _, one in frozen])
            images = read_tiles(archive, table, archive.resolution, "external tiles")
            told = _predict(frozen, table, images, batch, place)
        else:
            log("There are no external tiles: the predictions are empty.")
            told = []
        rows = pd.concat(told) if told else prediction_rows(table, positive(torch.empty((0, 2))), frozen[0][1])
        names = class_names(decided.class_map)
        unknown = {site for site, mpp in site_mpp(table).items() if mpp is None}
        marks = {(one.arm, site): _mark(one, site in unknown) for _, one in frozen for site in set(table["site"])}
        write_predictions(predictions, told)
        write_json(roc, roc_of(rows, decided, names))
        record["tiles"], record["sites"] = len(table), table["site"].nunique()
        record["patients"] = len(set(table["identity"]) - {""})
        record["classifiers"], record["study"] = len(frozen), decided.digest
        record["endpoint"], record["vote"], record["threshold"] = decided.endpoint, decided.vote, decided.threshold
        record["note"] = "" if len(table) else "no external tiles were given"
        record.table("sites", site_rows(rows, decided, names, marks))


def _predict(
    frozen: Sequence[tuple[str, Frozen]], table: pd.DataFrame, images: torch.Tensor, batch: int, device: torch.device
) -> list[pd.DataFrame]:
    """Prediction rows of every classifier; tiles are normalised once per stain fit."""
    sources = list(table["site"] + "/" + table["source"])
    normalised: dict[str, torch.Tensor] = {}
    told = []
    for folder, one in track(frozen, "external evaluation", len(frozen), "classifiers"):
        seen = images
        if one.stain and one.stain["use"] == NORMALISE:
            if one.arm not in normalised:
                normalised[one.arm], kept = normalise(Stain(**one.stain), images, sources)
                log(f"{one.arm}: {kept} of {len(images)} tiles show too little tissue and keep their stain")
            seen = normalised[one.arm]
        answers = logits(one.load(folder, device), seen, one.input_px, batch, device)
        told.append(prediction_rows(table, positive(answers), one))
    return told


def _mark(one: Frozen, unknown_mpp: bool) -> str:
    return "; ".join(text for text in (one.mark, "um/px unknown" if unknown_mpp else "") if text)


def _upstream(folders: Sequence[str]) -> list[dict[str, object]]:
    """The records of all chains, each once."""
    kept: list[dict[str, object]] = []
    for folder in folders:
        kept += [one for one in read_json(f"{folder}/{RECORDS}") if one not in kept]
    return kept
