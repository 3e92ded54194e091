"""How a stage becomes a KFP component: its image and its help.

A component's function is shipped as source text, so it stays thin: it hands its arguments to `work` (kfp_work.py). The
help that the KFP UI shows is `run`'s docstring, read as text, because importing a stage to compile a pipeline would
import torch.
"""

import ast
import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from kfp import dsl

ROOT = Path(__file__).parent.parent
REGISTRY_VARIABLE, TAG_VARIABLE = "THYGAN_REGISTRY", "THYGAN_TAG"
DEFAULT_REGISTRY = "ghcr.io/thygan"
_ENTERS_IMAGES = ("components", "images/Dockerfile", "images/requirements")


def image(stage: str) -> str:
    """The stage's image. Registry and tag come from THYGAN_REGISTRY and THYGAN_TAG when a pipeline is compiled."""
    registry = os.environ.get(REGISTRY_VARIABLE, DEFAULT_REGISTRY)
    return f"{registry}/python-{stage.replace('_', '-')}:{code_tag()}"


def code_tag() -> str:
    """The images' tag: THYGAN_TAG, else `source_tag`."""
    return os.environ.get(TAG_VARIABLE) or source_tag()


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
