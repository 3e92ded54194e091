"""One generator and its classifiers: pack ─ gan_train ─ fid_select ─ generate ─ classifier_cv."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kfp import dsl

from components.artifacts import Classifiers, Generator, Predictions, SplitPlan, StudyPlan, SyntheticTiles, TileSet
from components.classifier_cv.component import classifier_cv
from components.fid_select.component import fid_select
from components.gan_train.component import gan_train
from components.generate.component import generate
from components.pack.component import pack
from pipelines.study.nested import taking
from pipelines.study.options import CHAINED, CLASSIFICATION, GENERATION, SELECTION, TRAINING
from pipelines.study.resources import schedule


class FoldOutputs(NamedTuple):
    generator: Generator
    synthetic: SyntheticTiles
    predictions: Predictions
    classifiers: Classifiers
    metrics: dsl.Metrics


def generate_and_classify(
    generator: Any, packed: Any, given: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[Any, Any]:
    """A generator's tiles for one fold, and the classifiers that train with them.

    Args:
        generator: The network.
        packed: The task that packed the fold.
        given: tiles, plan, study_plan, scheme, fold, arms.
        options: The study's.
    """
    fold = {name: given[name] for name in ("plan", "scheme", "fold", "arms")}
    generated = generate(
        generator=generator,
        dataset=packed.outputs["dataset"],
        held_out=packed.outputs["held_out"],
        **fold,
        **GENERATION.of(options),
    )
    classified = classifier_cv(
        tiles=given["tiles"],
        study=given["study_plan"],
        synthetic=generated.outputs["synthetic"],
        **fold,
        **CLASSIFICATION.of(options),
    )
    return generated, classified


@dsl.pipeline(name="chain")
@taking(*CHAINED)
def fold_chain(
    tiles: dsl.Input[TileSet],
    plan: dsl.Input[SplitPlan],
    study_plan: dsl.Input[StudyPlan],
    scheme: str,
    fold: str,
    arms: list,
    **options: Any,
) -> FoldOutputs:
    """One generator and its classifiers, on the same training patients."""
    given = locals()
    packed = pack(tiles=tiles, plan=plan, fold=fold, scheme=scheme)
    trained = gan_train(dataset=packed.outputs["dataset"], **TRAINING.of(options))
    selected = fid_select(
        snapshots=trained.outputs["snapshots"],
        dataset=packed.outputs["dataset"],
        held_out=packed.outputs["held_out"],
        **SELECTION.of(options),
    )
    generated, classified = generate_and_classify(selected.outputs["generator"], packed, given, options)
    schedule(options, packed, trained, selected, generated, classified)
    return FoldOutputs(
        selected.outputs["generator"],
        generated.outputs["synthetic"],
        classified.outputs["predictions"],
        classified.outputs["classifiers"],
        classified.outputs["metrics"],
    )
