"""The stage as a KFP component."""

from typing import List

from kfp import dsl

from components.artifacts import DomainGap, Manifest, Predictions, SplitPlan, StudyPlan, TileSet
from components.kfp_component import stage_component


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
    data_card: dsl.Input[dsl.HTML],
    external_data_card: dsl.Input[dsl.HTML],
    generators: dsl.Input[List[dsl.Artifact]],
    page: dsl.Output[dsl.HTML],
    markdown: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    title: str = "",
    published: bool = False,
) -> None:
    given = locals()
    from components.kfp_runtime import run_stage

    run_stage(report, given)
