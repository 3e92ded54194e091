"""The study as IR YAML, as people upload it, and what it amounts to."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from kfp import compiler

from components.core.protocol.study_plan import scheme_of
from pipelines.study import published
from pipelines.study.exit_handler import published_on_cluster, study_on_cluster
from pipelines.study.merging import merge_duplicates
from pipelines.study.parameters import PARAMETERS, Parameter


@cache
def study_yaml() -> str:
    """Compiles the study; equal code gives equal text."""
    return _compile(study_on_cluster(), PARAMETERS)


@cache
def published_yaml() -> str:
    """Compiles Thy-GAN's protocol."""
    return _compile(published_on_cluster(), published.PARAMETERS)


@cache
def study_ir() -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline spec, and the Kubernetes settings of each executor."""
    pipeline, platform = read_ir(study_yaml())
    return pipeline, platform["platforms"]["kubernetes"]


def read_ir(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline spec and the platform spec of IR YAML."""
    pipeline, platform = yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return pipeline, platform


def compile_yaml(pipeline: Any) -> str:
    """A pipeline's IR as kfp writes it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(path))
        return path.read_text(encoding="utf-8")


def _compile(pipeline: Any, parameters: Iterable[Parameter]) -> str:
    """The IR without duplicates and inner help, and with the literals that kfp's SDK cannot say."""
    text = compile_yaml(pipeline)
    header = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    spec, platform = read_ir(text)
    merge_duplicates(spec, platform)
    _drop_help(spec)
    _add_literals(spec, parameters)
    return header + "---\n".join(
        yaml.dump(part, default_flow_style=None, width=float("inf")) for part in (spec, platform)
    )


def _drop_help(spec: Mapping[str, Any]) -> None:
    """Removes all help but that of the study's parameters: KFP shows no other, and every pod's template has it."""
    for component in spec["components"].values():
        for part in ("inputDefinitions", "outputDefinitions"):
            for definitions in component.get(part, {}).values():
                for definition in definitions.values():
                    definition.pop("description", None)


def _add_literals(spec: Mapping[str, Any], parameters: Iterable[Parameter]) -> None:
    described = spec["root"]["inputDefinitions"]["parameters"]
    for parameter in parameters:
        if parameter.literals:
            described[parameter.name]["literals"] = list(parameter.literals)


def executor_tasks(arms: Iterable[str], folds: int) -> dict[str, int]:
    """Pods that do work in a run, by stage, as the IR's loops make them.

    Args:
        arms: Arms of the study.
        folds: Folds of its cross-validation.
    """
    schemes = len({scheme_of(arm) for arm in arms} - {""})
    spec, _ = study_ir()
    width = {"final": schemes, "cross_validation": schemes * folds}
    counts: dict[str, int] = {}

    def count(component: Mapping[str, Any], times: int) -> None:
        if "executorLabel" in component:
            stage = component["executorLabel"].removeprefix("exec-").rstrip("-0123456789").replace("-", "_")
            counts[stage] = counts.get(stage, 0) + times
            return
        for task in component["dag"]["tasks"].values():
            inner = spec["components"][task["componentRef"]["name"]]
            count(inner, times * (width[_loop_output(task)] if "parameterIterator" in task else 1))

    count(spec["root"], 1)
    return counts


def _loop_output(task: Mapping[str, Any]) -> str:
    """The output of split that a loop's items are."""
    source = task["inputs"]["parameters"][task["parameterIterator"]["items"]["inputParameter"]]
    return str(source["taskOutputParameter"]["outputParameterKey"])
