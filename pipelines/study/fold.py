"""One generator and its classifiers: pack ─ gan_train ─ fid_select ─ generate ─ classifier_cv."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from kfp import dsl

from components.artifacts import (
    Classifiers,
    Generator,
    Predictions,
    Record,
    SplitPlan,
    StudyPlan,
    SyntheticTiles,
    TileSet,
)
from components.classifier_cv.component import classifier_cv
from components.fid_select.component import fid_select
from components.gan_train.component import gan_train
from components.generate.component import generate
from components.pack.component import pack
from pipelines.study.parameters import POOLS, parameter_types
from pipelines.study.resources import schedule
from pipelines.study.tracing import define_pipeline

ARTIFACTS = {"tiles": dsl.Input[TileSet], "plan": dsl.Input[SplitPlan], "study": dsl.Input[StudyPlan]}
ITEM = {"scheme": str, "fold": str, "arms": list}  # of a loop
CLASSIFYING = ("profile", "shared", "seed", "generation", "classifier", *POOLS)
TRAINING = ("gan", "selection", *CLASSIFYING)


class FoldOutputs(NamedTuple):
    """What other tasks read of a fold."""

    generator: Generator
    synthetic: SyntheticTiles
    predictions: Predictions
    classifiers: Classifiers
    record: Record


@cache
def fold_pipeline() -> Any:
    """The chain as a pipeline, which a loop calls for each scheme and fold."""
    return define_pipeline("fold", fold_tasks, ARTIFACTS | ITEM | parameter_types(TRAINING), FoldOutputs)


def fold_arguments(inputs: Mapping[str, Any], item: Any, names: tuple[str, ...] = TRAINING) -> dict[str, Any]:
    """The arguments of a pipeline that a loop calls for each scheme and fold.

    Args:
        inputs: The channels around the loop, by name.
        item: The loop's item.
        names: Parameters of the study that the pipeline takes.
    """
    return {name: inputs[name] for name in (*ARTIFACTS, *names)} | {name: getattr(item, name) for name in ITEM}


def fold_tasks(inputs: Mapping[str, Any]) -> FoldOutputs:
    """One generator and its classifiers, on the same training patients."""
    common = {name: inputs[name] for name in ("profile", "shared", "seed")}
    packed = pack(tiles=inputs["tiles"], plan=inputs["plan"], fold=inputs["fold"], scheme=inputs["scheme"])
    trained = gan_train(dataset=packed.outputs["dataset"], options=inputs["gan"], **common)
    selected = fid_select(
        snapshots=trained.outputs["snapshots"],
        dataset=packed.outputs["dataset"],
        held_out=packed.outputs["held_out"],
        options=inputs["selection"],
        **common,
    )
    generated, classified = classifier_tasks(selected.outputs["generator"], packed, inputs)
    schedule(inputs, packed, trained, selected, generated, classified)
    return FoldOutputs(
        selected.outputs["generator"],
        generated.outputs["synthetic"],
        classified.outputs["predictions"],
        classified.outputs["classifiers"],
        classified.outputs["classifier_record"],
    )


def classifier_tasks(generator: Any, packed: Any, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
    """A generator's tiles for one fold, and the classifiers that train with them.

    Args:
        generator: The network.
        packed: The task that packed the fold.
        inputs: The fold's channels, by name.
    """
    fold = {name: inputs[name] for name in ("plan", *ITEM, "profile", "shared", "seed")}
    generated = generate(
        generator=generator,
        dataset=packed.outputs["dataset"],
        held_out=packed.outputs["held_out"],
        options=inputs["generation"],
        **fold,
    )
    classified = classifier_cv(
        tiles=inputs["tiles"],
        study=inputs["study"],
        synthetic=generated.outputs["synthetic"],
        options=inputs["classifier"],
        **fold,
    )
    return generated, classified
