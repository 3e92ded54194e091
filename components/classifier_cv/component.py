"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import Classifiers, Predictions, SplitPlan, StudyPlan, SyntheticTiles, TileSet
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
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    scheme: str = "binary",
    arms: list = ["none"],
    backbone: str = "efficientnet_lite0",
    pretrained: bool = True,
    weights_dir: str = "",
    input_px: int = 224,
    epochs: int = 500,
    patience: int = 50,
    batch: int = 64,
    learning_rate: float = 0.001,
    weight_decay: float = 1e-6,
    stain_method: str = "macenko",
    published: bool = False,
    checkpoint_uri: str = "",
    checkpoint_minutes: float = 10.0,
    seed: int = 0,
    device: str = "auto",
    allow_leakage: bool = False,
    trust_origin: str = "",
) -> None:
    given = locals()
    from components.kfp_runtime import run_stage

    run_stage(classifier_cv, given)
