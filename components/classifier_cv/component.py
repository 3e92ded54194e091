"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import Classifiers, Predictions, SplitPlan, StudyPlan, SyntheticTiles, TileSet
from components.kfp_stage import stage_component


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
    seed: int = 0,
    device: str = "auto",
    allow_leakage: bool = False,
    trust_origin: str = "",
) -> None:
    from components.classifier_cv.stage import run
    from components.kfp_stage import publish

    run(
        tiles=tiles.path,
        plan=plan.path,
        study=study.path,
        synthetic=synthetic.path,
        fold=fold,
        predictions=predictions.path,
        classifiers=classifiers.path,
        page=page.path,
        metrics=metrics.path,
        scheme=scheme,
        arms=arms,
        backbone=backbone,
        pretrained=pretrained,
        weights_dir=weights_dir,
        input_px=input_px,
        epochs=epochs,
        patience=patience,
        batch=batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        seed=seed,
        device=device,
        allow_leakage=allow_leakage,
        trust_origin=trust_origin,
    )
    publish(metrics, predictions, classifiers)
