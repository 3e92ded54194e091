"""How a stage becomes a KFP component: its image, its help, and what it shows in the UI.

A component's function is shipped as source text, so it stays thin: it calls `run` of its own stage. The help that the
KFP UI shows is `run`'s docstring, read as text, because importing a stage to compile a pipeline would import torch.
"""

import ast
import hashlib
import json
import math
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from kfp import dsl

ROOT = Path(__file__).parent.parent
REGISTRY_VARIABLE, TAG_VARIABLE = "THYGAN_REGISTRY", "THYGAN_TAG"
DEFAULT_REGISTRY = "ghcr.io/thygan"
_ENTERS_IMAGES = ("components", "images", "requirements", "pyproject.toml")
_SCALARS = (str, int, float, bool)


def image(stage: str) -> str:
    """The stage's image. Registry and tag come from THYGAN_REGISTRY and THYGAN_TAG when a pipeline is compiled."""
    registry = os.environ.get(REGISTRY_VARIABLE, DEFAULT_REGISTRY)
    return f"{registry}/python-{stage.replace('_', '-')}:{os.environ.get(TAG_VARIABLE) or source_tag()}"


@cache
def source_tag() -> str:
    """`src-` and 12 hex digits over everything that enters the images, uncommitted changes included.

    It is part of KFP's cache key: changed code misses the cache, here and on a cluster.
    """
    digest = hashlib.sha256()
    for name in _ENTERS_IMAGES:
        top = ROOT / name
        files = [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file())
        for path in files:
            if "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
                digest.update(path.read_bytes())
    return f"src-{digest.hexdigest()[:12]}"


def documentation(stage: str) -> str:
    """The docstring of the stage's `run`, without importing it."""
    module = ast.parse((ROOT / "components" / stage / "stage.py").read_text(encoding="utf-8"))
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name == "run":
            return ast.get_docstring(node) or ""
    raise LookupError(f"components/{stage}/stage.py has no function run")


def stage_component(function: Callable[..., Any]) -> Any:
    """Makes a lightweight component of the stage that has the function's name."""
    stage = function.__name__
    function.__doc__ = documentation(stage)
    return dsl.component(function, base_image=image(stage), install_kfp_package=False)


def publish(metrics: dsl.Metrics, *artifacts: dsl.Artifact) -> None:
    """Shows a stage's record in the UI: numbers as metrics, and all its scalars as metadata of what it made.

    Metadata is flat and finite; tables stay in the file.
    """
    record = json.loads(Path(metrics.path).read_text(encoding="utf-8"))
    flat = {key: value for key, value in record.items() if isinstance(value, _SCALARS)}
    for key, value in flat.items():
        if isinstance(value, int | float) and math.isfinite(value):
            metrics.log_metric(key, float(value))
    for artifact in artifacts:
        artifact.metadata.update({key: str(v) if isinstance(v, bool) else v for key, v in flat.items()})


def draw_roc(roc: dsl.ClassificationMetrics) -> None:
    """Shows the ROC curve and the confusion matrix that a stage wrote to `roc`'s file."""
    drawn = json.loads(Path(roc.path).read_text(encoding="utf-8"))
    if drawn.get("fpr"):
        roc.log_roc_curve(drawn["fpr"], drawn["tpr"], drawn["threshold"])
    if drawn.get("confusion"):
        roc.log_confusion_matrix(drawn["classes"], drawn["confusion"])
