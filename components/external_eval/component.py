"""The stage as a KFP component."""

from typing import List

from kfp import dsl

from components.artifacts import Manifest, Predictions, Record, StudyPlan, TileSet
from components.kfp_component import stage_component


@stage_component
def external_eval(
    classifiers: dsl.Input[List[dsl.Artifact]],
    study: dsl.Input[StudyPlan],
    tiles: dsl.Input[TileSet],
    labels: dsl.Input[Manifest],
    external_predictions: dsl.Output[Predictions],
    roc: dsl.Output[dsl.ClassificationMetrics],
    evaluation_record: dsl.Output[Record],
    evaluation_metrics: dsl.Output[dsl.Metrics],
    profile: str = "none",
    shared: dict = {},
    options: dict = {},
) -> None:
    arguments = locals()
    from components.kfp_runtime import draw_roc, run_stage

    run_stage(external_eval, arguments)
    draw_roc(roc)
