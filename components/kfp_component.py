"""How a stage becomes a KFP component, and the image that it runs in.

A component's function is shipped as source text, so it stays thin: it hands its arguments to `run_stage`
(kfp_runtime.py).
"""

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


def stage_component(function: Callable[..., Any]) -> Any:
    """Makes a lightweight component of the stage that has the function's name.

    It has no help: every pod's template would carry it.
    """
    return dsl.component(function, base_image=image(function.__name__), install_kfp_package=False)


def component_in(stage: str) -> Callable[[Callable[..., Any]], Any]:
    """Makes a lightweight component that is not a stage and runs in a stage's image."""
    return lambda function: dsl.component(function, base_image=image(stage), install_kfp_package=False)
