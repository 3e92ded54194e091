"""The stage as a KFP component."""

from typing import List

from kfp import dsl

from components.artifacts import DomainGap, Manifest, Predictions, Record, SplitPlan, StudyPlan, TileSet
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
    tile_record: dsl.Input[Record],
    external_tile_record: dsl.Input[Record],
    split_record: dsl.Input[Record],
    final_records: dsl.Input[List[dsl.Artifact]],
    fold_records: dsl.Input[List[dsl.Artifact]],
    evaluation_record: dsl.Input[Record],
    umap_record: dsl.Input[Record],
    data_card: dsl.Input[dsl.HTML],
    external_data_card: dsl.Input[dsl.HTML],
    generators: dsl.Input[List[dsl.Artifact]],
    report: dsl.Output[dsl.HTML],
    verdict: dsl.Output[dsl.Markdown],
    report_record: dsl.Output[Record],
    numbers: dsl.Output[dsl.Metrics],
    profile: str = "none",
    shared: dict = {},
    options: dict = {},
) -> None:
    arguments = locals()
    from components.kfp_runtime import run_stage

    run_stage(globals()["report"], arguments)  # inside, `report` is the page
