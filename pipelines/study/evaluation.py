"""The loops over folds and schemes, and what is read from all of them: external_eval, umap, report."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kfp import dsl

from components.artifacts import DomainGap, Manifest, Predictions, Record, SplitPlan, StudyPlan, TileSet
from components.external_eval.component import external_eval
from components.report.component import report
from components.umap.component import umap
from pipelines.study.fold import TRAINING, fold_arguments
from pipelines.study.parameters import parameter_types
from pipelines.study.resources import schedule

INPUTS = {
    "manifest": dsl.Input[Manifest],
    "tiles": dsl.Input[TileSet],
    "data_card": dsl.Input[dsl.HTML],
    "tile_record": dsl.Input[Record],
    "external_labels": dsl.Input[Manifest],
    "external_tiles": dsl.Input[TileSet],
    "external_data_card": dsl.Input[dsl.HTML],
    "external_tile_record": dsl.Input[Record],
    "plan": dsl.Input[SplitPlan],
    "study": dsl.Input[StudyPlan],
    "split_record": dsl.Input[Record],
    "final": list,
    "cross_validation": list,
    **parameter_types((*TRAINING, "evaluation", "umap", "report")),
}


class Evaluation(NamedTuple):
    """What comes out of the loops."""

    report: dsl.HTML
    verdict: dsl.Markdown
    numbers: dsl.Metrics
    report_record: Record
    external_predictions: Predictions
    gap: DomainGap


def evaluation_tasks(inputs: Mapping[str, Any], fold: Any) -> Evaluation:
    """A generator and classifiers for each scheme and fold, then what is read from all of them.

    Args:
        inputs: Channels of `INPUTS`, by name.
        fold: `fold_pipeline`.
    """
    with dsl.ParallelFor(items=inputs["cross_validation"], name="cross-validation") as item:
        folds = fold(**fold_arguments(inputs, item))
    with dsl.ParallelFor(items=inputs["final"], name="all-patients") as item:
        final = fold(**fold_arguments(inputs, item)).set_display_name("fold")
    return reading_tasks(
        inputs,
        final,
        predictions=dsl.Collected(folds.outputs["predictions"]),
        fold_records=dsl.Collected(folds.outputs["record"]),
    )


def reading_tasks(inputs: Mapping[str, Any], final: Any, *, predictions: Any, fold_records: Any) -> Evaluation:
    """External evaluation, UMAP and report.

    Args:
        inputs: Channels of `INPUTS`, by name.
        final: The task in the loop over schemes that trains on all patients.
        predictions: Of the cross-validation, one per scheme and fold.
        fold_records: Records of the classifiers, in the same order.
    """
    common = {name: inputs[name] for name in ("profile", "shared")}
    evaluated = external_eval(
        classifiers=dsl.Collected(final.outputs["classifiers"]),
        study=inputs["study"],
        tiles=inputs["external_tiles"],
        labels=inputs["external_labels"],
        options=inputs["evaluation"],
        **common,
    )
    mapped = umap(
        tiles=inputs["tiles"],
        external_tiles=inputs["external_tiles"],
        external_labels=inputs["external_labels"],
        synthetic=dsl.Collected(final.outputs["synthetic"]),
        seed=inputs["seed"],
        options=inputs["umap"],
        **common,
    )
    reported = report(
        **{name: inputs[name] for name in _REPORTED},
        synthetic=dsl.Collected(final.outputs["synthetic"]),
        predictions=predictions,
        external_predictions=evaluated.outputs["external_predictions"],
        gap=mapped.outputs["gap"],
        final_records=dsl.Collected(final.outputs["record"]),
        fold_records=fold_records,
        evaluation_record=evaluated.outputs["evaluation_record"],
        umap_record=mapped.outputs["umap_record"],
        generators=dsl.Collected(final.outputs["generator"]),
        options=inputs["report"],
        **common,
    )
    schedule(inputs, evaluated, mapped, reported)
    return Evaluation(
        reported.outputs["report"],
        reported.outputs["verdict"],
        reported.outputs["numbers"],
        reported.outputs["report_record"],
        evaluated.outputs["external_predictions"],
        mapped.outputs["gap"],
    )


_REPORTED = (
    "manifest",
    "tiles",
    "plan",
    "study",
    "external_labels",
    "external_tiles",
    "data_card",
    "external_data_card",
    "tile_record",
    "external_tile_record",
    "split_record",
)
