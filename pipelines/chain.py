"""One generator and its classifiers: pack ─ gan_train ─ fid_select ─ generate ─ classifier_cv."""

from typing import Any, NamedTuple

from kfp import dsl

from components.artifacts import Classifiers, Generator, Predictions, SplitPlan, StudyPlan, SyntheticTiles, TileSet
from components.classifier_cv.component import classifier_cv
from components.fid_select.component import fid_select
from components.gan_train.component import gan_train
from components.generate.component import generate
from components.pack.component import pack
from pipelines.nested import taking
from pipelines.options import CHAINED, CLASSIFICATION, GENERATION, SELECTION, TRAINING
from pipelines.scheduling import schedule


class Chain(NamedTuple):
    generator: Generator
    synthetic: SyntheticTiles
    predictions: Predictions
    classifiers: Classifiers
    metrics: dsl.Metrics


@dsl.pipeline(name="chain")
@taking(*CHAINED)
def chain(
    tiles: dsl.Input[TileSet],
    plan: dsl.Input[SplitPlan],
    study_plan: dsl.Input[StudyPlan],
    scheme: str,
    fold: str,
    arms: list,
    **options: Any,
) -> Chain:
    """One generator and its classifiers, on the same training patients."""
    packed = pack(tiles=tiles, plan=plan, fold=fold, scheme=scheme)
    trained = gan_train(dataset=packed.outputs["dataset"], **TRAINING.of(options))
    selected = fid_select(
        snapshots=trained.outputs["snapshots"],
        dataset=packed.outputs["dataset"],
        held_out=packed.outputs["held_out"],
        **SELECTION.of(options),
    )
    generated = generate(
        generator=selected.outputs["generator"],
        dataset=packed.outputs["dataset"],
        held_out=packed.outputs["held_out"],
        plan=plan,
        fold=fold,
        scheme=scheme,
        arms=arms,
        **GENERATION.of(options),
    )
    classified = classifier_cv(
        tiles=tiles,
        plan=plan,
        study=study_plan,
        synthetic=generated.outputs["synthetic"],
        fold=fold,
        scheme=scheme,
        arms=arms,
        **CLASSIFICATION.of(options),
    )
    schedule(options, packed, trained, selected, generated, classified)
    return Chain(
        selected.outputs["generator"],
        generated.outputs["synthetic"],
        classified.outputs["predictions"],
        classified.outputs["classifiers"],
        classified.outputs["metrics"],
    )
