"""The study: every stage, from two hospitals' images to one verdict per arm.

source ─ tile ─ split ─┬─ each {scheme, fold}: pack ─ gan_train ─ fid_select ─ generate ─ classifier_cv ─┐
                       └─ fold "all": the same chain, once per scheme ─┬─ external_eval ────────────── report
external ─ tile ───────────────────────────────────────────────────────┴─ umap ──────────────────────────┘

It is built twice from the same functions: flat for a cluster (exit_handler.py), where each nested pipeline costs a pod
and room in the workflow object, and nested for this machine, because kfp.local resolves a loop's items only from its
pipeline's own parameters.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from kfp import dsl

from components.artifacts import DomainGap, Predictions, Record
from components.split.component import split
from components.tile.component import tile
from pipelines.study.evaluation import INPUTS, Evaluation, evaluation_tasks
from pipelines.study.fold import fold_pipeline
from pipelines.study.parameters import PARAMETERS
from pipelines.study.resources import schedule
from pipelines.study.tracing import define_pipeline, define_study

NAME = "thygan-study"
HELP = "Do GAN-made tiles make a classifier trained on few patients hold up on another hospital's slides?"
_CHECKED = (
    "split",
    "gan",
    "selection",
    "generation",
    "classifier",
    "evaluation",
    "umap",
    "report",
)  # by the first task


class Study(NamedTuple):
    """What comes out of a study on this machine."""

    report: dsl.HTML
    verdict: dsl.Markdown
    numbers: dsl.Metrics
    report_record: Record
    external_predictions: Predictions
    gap: DomainGap
    data_card: dsl.HTML
    external_data_card: dsl.HTML


@cache
def local_study() -> Any:
    """The study for this machine, with outputs."""
    tasks = partial(evaluation_tasks, fold=fold_pipeline())
    evaluation = define_pipeline("evaluation", tasks, INPUTS, Evaluation)
    return define_study(NAME, lambda inputs: study_outputs(inputs, evaluation), PARAMETERS, HELP, Study)


def study_outputs(inputs: Mapping[str, Any], evaluation: Any) -> Study:
    """A whole study with its loops in a pipeline of their own, and what comes out of it.

    Args:
        inputs: The study's parameters, by name.
        evaluation: The pipeline of the loops.
    """
    tiled = tile_tasks(inputs)
    evaluated = evaluation(**{name: tiled[name] for name in INPUTS})
    outputs = {name: evaluated.outputs[name] for name in Evaluation._fields}
    return Study(**outputs, data_card=tiled["data_card"], external_data_card=tiled["external_data_card"])


def study_tasks(inputs: Mapping[str, Any], evaluation: Callable[[Mapping[str, Any]], Any]) -> None:
    """A whole study in one DAG.

    Args:
        inputs: The study's parameters, by name.
        evaluation: Makes the loops, and what is read from them.
    """
    evaluation(tile_tasks(inputs))


def tile_tasks(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The tasks before the loops: tile, split, and tile for the other hospitals.

    Returns:
        The channels that the loops take, by name, the study's parameters among them.
    """
    common = {name: inputs[name] for name in ("mpp", "seed", "profile", "shared")}
    tiled = tile(
        sources=[inputs["source"]],
        labels=[inputs["labels"]],
        sites=[inputs["site"]],
        options=inputs["tile"],
        **{name: inputs[name] for name in _CHECKED},
        **common,
    ).set_caching_options(False)
    planned = split(
        manifest=tiled.outputs["manifest"],
        options=inputs["split"],
        **{name: inputs[name] for name in ("seed", "profile", "shared")},
    )
    external = tile(
        sources=inputs["external"],
        labels=inputs["external_labels"],
        sites=inputs["external_site"],
        target_mpp=tiled.outputs["mpp_of_study"],
        blind=True,
        reference=tiled.outputs["tiles"],
        plan=planned.outputs["plan"],
        options=inputs["tile"],
        **common,
    ).set_caching_options(False)
    external.set_display_name("tile external")
    schedule(inputs, tiled, planned, external)
    return {
        **inputs,
        **{name: tiled.outputs[name] for name in ("manifest", "tiles", "data_card", "tile_record")},
        "external_labels": external.outputs["manifest"],
        **{f"external_{name}": external.outputs[name] for name in ("tiles", "data_card", "tile_record")},
        **{name: planned.outputs[name] for name in ("plan", "study", "split_record", "final", "cross_validation")},
    }
