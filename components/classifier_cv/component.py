"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import Classifiers, Predictions, Record, SplitPlan, StudyPlan, SyntheticTiles, TileSet
from components.kfp_component import stage_component


@stage_component
def classifier_cv(
    tiles: dsl.Input[TileSet],
    plan: dsl.Input[SplitPlan],
    study: dsl.Input[StudyPlan],
    synthetic: dsl.Input[SyntheticTiles],
    fold: str,
    predictions: dsl.Output[Predictions],
    classifiers: dsl.Output[Classifiers],
    classifier_page: dsl.Output[dsl.HTML],
    classifier_record: dsl.Output[Record],
    classifier_metrics: dsl.Output[dsl.Metrics],
    scheme: str = "binary",
    arms: list = ["none"],
    seed: int = 0,
    profile: str = "none",
    shared: dict = {},
    options: dict = {},
) -> None:
    arguments = locals()
    from components.kfp_runtime import run_stage

    run_stage(classifier_cv, arguments)
