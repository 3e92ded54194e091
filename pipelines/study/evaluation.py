"""The loops over folds and schemes, and what is read from them together: external_eval, umap, report.

They are a pipeline of their own because kfp.local resolves loop items only from a pipeline's own parameters.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kfp import dsl

from components.artifacts import DomainGap, Manifest, Predictions, SplitPlan, StudyPlan, TileSet
from components.external_eval.component import external_eval
from components.report.component import report
from components.umap.component import umap
from pipelines.study.fold import fold_chain
from pipelines.study.nested import chosen, taking
from pipelines.study.options import CHAINED, EVALUATION, MAPPING, READ, TELLING
from pipelines.study.resources import schedule


class Evaluation(NamedTuple):
    page: dsl.HTML
    markdown: dsl.Markdown
    metrics: dsl.Metrics
    external_predictions: Predictions
    gap: DomainGap


def evaluate(given: Mapping[str, Any], every: Any, *, predictions: Any, fold_metrics: Any) -> Evaluation:
    """External evaluation, map and report: what is read from all loops together.

    Args:
        given: The arguments of the pipeline that has the loops.
        every: The chain of the fold `all`, looped over schemes.
        predictions: Of the cross-validation, one per scheme and fold, as are fold_metrics.
        fold_metrics: Records.
    """
    outside = external_eval(
        classifiers=dsl.Collected(every.outputs["classifiers"]),
        study=given["study_plan"],
        tiles=given["external_tiles"],
        labels=given["external_labels"],
        **EVALUATION.of(given),
    )
    mapped = umap(
        tiles=given["tiles"],
        external_tiles=given["external_tiles"],
        external_labels=given["external_labels"],
        synthetic=dsl.Collected(every.outputs["synthetic"]),
        **MAPPING.of(given),
    )
    passed_on = ("manifest", "tiles", "plan", "external_labels", "external_tiles", "data_card", "external_data_card")
    told = report(
        **{name: given[name] for name in passed_on},
        study=given["study_plan"],
        synthetic=dsl.Collected(every.outputs["synthetic"]),
        predictions=predictions,
        external_predictions=outside.outputs["predictions"],
        gap=mapped.outputs["gap"],
        **{name: given[name] for name in ("tile_metrics", "external_tile_metrics", "split_metrics")},
        final_metrics=dsl.Collected(every.outputs["metrics"]),
        fold_metrics=fold_metrics,
        external_metrics=outside.outputs["metrics"],
        umap_metrics=mapped.outputs["metrics"],
        generators=dsl.Collected(every.outputs["generator"]),
        **TELLING.of(given),
    )
    schedule(given, outside, mapped, told)
    return Evaluation(
        told.outputs["page"],
        told.outputs["markdown"],
        told.outputs["metrics"],
        outside.outputs["predictions"],
        mapped.outputs["gap"],
    )


@dsl.pipeline(name="evidence")
@taking(*CHAINED, *READ)
def evaluation(
    manifest: dsl.Input[Manifest],
    tiles: dsl.Input[TileSet],
    data_card: dsl.Input[dsl.HTML],
    tile_metrics: dsl.Input[dsl.Metrics],
    external_labels: dsl.Input[Manifest],
    external_tiles: dsl.Input[TileSet],
    external_data_card: dsl.Input[dsl.HTML],
    external_tile_metrics: dsl.Input[dsl.Metrics],
    plan: dsl.Input[SplitPlan],
    study_plan: dsl.Input[StudyPlan],
    split_metrics: dsl.Input[dsl.Metrics],
    final: list,
    cross_validation: list,
    **options: Any,
) -> Evaluation:
    """The loops over folds and schemes, and what is read from them together."""
    given = locals() | options
    shared = {"tiles": tiles, "plan": plan, "study_plan": study_plan, **chosen(options, *CHAINED)}
    with dsl.ParallelFor(items=cross_validation, name="cross-validation") as item:
        folds = fold_chain(**shared, scheme=item.scheme, fold=item.fold, arms=item.arms)
    with dsl.ParallelFor(items=final, name="all-patients") as item:
        every = fold_chain(**shared, scheme=item.scheme, fold=item.fold, arms=item.arms)

    return evaluate(
        given,
        every,
        predictions=dsl.Collected(folds.outputs["predictions"]),
        fold_metrics=dsl.Collected(folds.outputs["metrics"]),
    )
