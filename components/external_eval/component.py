"""The stage as a KFP component."""

from typing import List

from kfp import dsl

from components.artifacts import Manifest, Predictions, StudyPlan, TileSet
from components.kfp_component import stage_component


@stage_component
def external_eval(
    classifiers: dsl.Input[List[dsl.Artifact]],
    study: dsl.Input[StudyPlan],
    tiles: dsl.Input[TileSet],
    labels: dsl.Input[Manifest],
    predictions: dsl.Output[Predictions],
    roc: dsl.Output[dsl.ClassificationMetrics],
    metrics: dsl.Output[dsl.Metrics],
    batch: int = 128,
    device: str = "auto",
) -> None:
    given = locals()
    from components.kfp_runtime import draw_roc, run_stage

    run_stage(external_eval, given)
    draw_roc(roc)
