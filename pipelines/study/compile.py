"""The study as IR YAML, as people upload it, and what it amounts to."""

import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from components.core.protocol.study_plan import scheme_of
from pipelines.study.exit_handler import published_on_cluster, study_on_cluster


@cache
def study_yaml() -> str:
    """Compiles the study; equal code gives equal text."""
    return _compiled(study_on_cluster)


@cache
def published_yaml() -> str:
    """Compiles Thy-GAN's protocol."""
    return _compiled(published_on_cluster)


def _compiled(pipeline: Any) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(path))
        return path.read_text(encoding="utf-8")


@cache
def study_ir() -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline spec and what Kubernetes is told of each executor."""
    pipeline, platform = yaml.load_all(study_yaml(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return pipeline, platform["platforms"]["kubernetes"]


def executor_tasks(arms: Iterable[str], folds: int) -> dict[str, int]:
    """How many pods do work in a run, by stage, as the IR's loops make them.

    Args:
        arms: Of the study.
        folds: Of its cross-validation.
    """
    schemes = len({scheme_of(arm) for arm in arms} - {""})
    pipeline, _ = study_ir()
    width = {"pipelinechannel--final": schemes, "pipelinechannel--cross_validation": schemes * folds}
    counted: dict[str, int] = {}

    def count(component: dict[str, Any], times: int) -> None:
        if "executorLabel" in component:
            stage = component["executorLabel"].removeprefix("exec-").rstrip("-0123456789").replace("-", "_")
            counted[stage] = counted.get(stage, 0) + times
            return
        for task in component["dag"]["tasks"].values():
            items = task.get("parameterIterator", {}).get("items", {}).get("inputParameter")
            inner = pipeline["components"][task["componentRef"]["name"]]
            count(inner, times * (width[items] if items else 1))

    count(pipeline["root"], 1)
    return counted
