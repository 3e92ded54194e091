"""The stage as a KFP component."""

from typing import List

from kfp import dsl

from components.artifacts import Manifest, Predictions, StudyPlan, TileSet
from components.kfp_stage import stage_component


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
    from components.external_eval.stage import run
    from components.kfp_stage import draw_roc, publish

    run(
        classifiers=[artifact.path for artifact in classifiers],
        study=study.path,
        tiles=tiles.path,
        labels=labels.path,
        predictions=predictions.path,
        roc=roc.path,
        metrics=metrics.path,
        batch=batch,
        device=device,
    )
    publish(metrics, predictions)
    draw_roc(roc)
