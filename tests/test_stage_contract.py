"""One room, one shape: every stage has the same files, and its component says what its `run` says."""

import importlib
import inspect
from pathlib import Path

import pytest
from docstring_parser import parse

from components.kfp_component import documentation

ROOT = Path(__file__).parent.parent
STAGES = [
    "tile",
    "split",
    "pack",
    "gan_train",
    "fid_select",
    "generate",
    "classifier_cv",
    "external_eval",
    "umap",
    "report",
]
NOT_ON_A_CLUSTER = {"threads"}
ONLY_ON_A_CLUSTER = {"train_job"}


def normal(default):
    """An empty list, tuple, dict and None mean the same; a tuple and a list of equal items, too."""
    if default is None or default in ((), [], {}):
        return None
    return list(default) if isinstance(default, tuple) else default


@pytest.fixture(params=STAGES)
def stage(request):
    return request.param


def test_room_has_its_files(stage):
    for name in ("__init__.py", "__main__.py", "component.py", "stage.py"):
        assert (ROOT / "components" / stage / name).is_file(), f"components/{stage}/{name}"


def test_component_takes_what_run_takes(stage):
    run = importlib.import_module(f"components.{stage}.stage").run
    component = getattr(importlib.import_module(f"components.{stage}.component"), stage)
    parameters = inspect.signature(run).parameters
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters.values())

    spec = component.component_spec
    files = {name for name, one in (spec.inputs or {}).items() if one.type.startswith("system.")}
    options = {name: one for name, one in (spec.inputs or {}).items() if name not in files | ONLY_ON_A_CLUSTER}
    made = {name for name, one in spec.outputs.items() if one.type.startswith("system.")}
    assert files | made | set(options) == set(parameters) - NOT_ON_A_CLUSTER

    for name, option in options.items():
        assert normal(option.default) == normal(
            None if parameters[name].default is inspect.Parameter.empty else parameters[name].default
        ), name
    for name in files | made:
        optional = name in files and spec.inputs[name].optional
        assert parameters[name].default == ("" if optional else inspect.Parameter.empty), name


def test_help_describes_every_parameter(stage):
    run = importlib.import_module(f"components.{stage}.stage").run
    described = {one.arg_name: one.description for one in parse(documentation(stage)).params}
    assert set(described) == set(inspect.signature(run).parameters)
    assert all(text and len(text) > 8 for text in described.values())


def test_component_needs_no_installation(stage):
    component = getattr(importlib.import_module(f"components.{stage}.component"), stage)
    container = component.component_spec.implementation.container
    assert "pip install" not in " ".join(container.command)
    assert ":src-" in container.image
