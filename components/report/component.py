"""The stage as a KFP component."""

from typing import List

from kfp import dsl

from components.artifacts import DomainGap, Manifest, Predictions, SplitPlan, StudyPlan, TileSet
from components.kfp_stage import stage_component


@stage_component
def report(
    manifest: dsl.Input[Manifest],
    tiles: dsl.Input[TileSet],
    plan: dsl.Input[SplitPlan],
    study: dsl.Input[StudyPlan],
    external_labels: dsl.Input[Manifest],
    external_tiles: dsl.Input[TileSet],
    synthetic: dsl.Input[List[dsl.Artifact]],
    predictions: dsl.Input[List[dsl.Artifact]],
    external_predictions: dsl.Input[Predictions],
    gap: dsl.Input[DomainGap],
    tile_metrics: dsl.Input[dsl.Metrics],
    external_tile_metrics: dsl.Input[dsl.Metrics],
    split_metrics: dsl.Input[dsl.Metrics],
    final_metrics: dsl.Input[List[dsl.Artifact]],
    fold_metrics: dsl.Input[List[dsl.Artifact]],
    external_metrics: dsl.Input[dsl.Metrics],
    umap_metrics: dsl.Input[dsl.Metrics],
    page: dsl.Output[dsl.HTML],
    markdown: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    title: str = "",
) -> None:
    from components.kfp_stage import publish
    from components.report.stage import run

    run(
        manifest=manifest.path,
        tiles=tiles.path,
        plan=plan.path,
        study=study.path,
        external_labels=external_labels.path,
        external_tiles=external_tiles.path,
        synthetic=[artifact.path for artifact in synthetic],
        predictions=[artifact.path for artifact in predictions],
        external_predictions=external_predictions.path,
        gap=gap.path,
        tile_metrics=tile_metrics.path,
        external_tile_metrics=external_tile_metrics.path,
        split_metrics=split_metrics.path,
        final_metrics=[artifact.path for artifact in final_metrics],
        fold_metrics=[artifact.path for artifact in fold_metrics],
        external_metrics=external_metrics.path,
        umap_metrics=umap_metrics.path,
        page=page.path,
        markdown=markdown.path,
        metrics=metrics.path,
        title=title,
    )
    publish(metrics)
