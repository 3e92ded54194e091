"""One room, one shape: every stage has the same files, and its component says what its `run` says."""

import ast
import importlib
import inspect
import json
from pathlib import Path

import pytest
from docstring_parser import parse
from google.protobuf.json_format import MessageToDict

from components.core.options.fields import describe_options
from components.core.options.shared import SharedOptions
from components.groups import GROUPS, STAGE_GROUP, shared_fields

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
METRICS = "system.Metrics@0.0.1"  # for KFP's page alone, filled from the record
RESOLVED = {"profile", "shared", "options"}  # what a component takes in the place of the stage's options
LARGEST_COMPONENT_SPEC = 2.5 * 1024  # bytes; a workflow holds it several times for each pod


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
    parameters = dict(inspect.signature(run).parameters)
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters.values())

    spec = component.component_spec
    files = {name for name, one in (spec.inputs or {}).items() if one.type.startswith("system.")}
    outputs = {name for name, one in spec.outputs.items() if one.type.startswith("system.") and one.type != METRICS}
    others = set(GROUPS) - RESOLVED - {"tile"} if stage == "tile" else set()  # validated by a run's first task
    direct = {name: one for name, one in (spec.inputs or {}).items() if name not in files | RESOLVED | others}
    assert (RESOLVED | others) <= set(spec.inputs) if stage in STAGE_GROUP else not RESOLVED & set(spec.inputs)
    dataclasses = {"options", *(["shared"] if stage in STAGE_GROUP and shared_fields(stage) else [])}
    assert files | outputs | set(direct) | (dataclasses if stage in STAGE_GROUP else set()) == set(parameters)

    for name, one in direct.items():
        assert normal(one.default) == normal(
            None if parameters[name].default is inspect.Parameter.empty else parameters[name].default
        ), name
    for name in files | outputs:
        optional = name in files and spec.inputs[name].optional
        assert parameters[name].default == ("" if optional else inspect.Parameter.empty), name


def test_options_are_the_group_s_and_shared_ones_exist(stage):
    if stage not in STAGE_GROUP:
        assert not (ROOT / "components" / stage / "options.py").exists()
        return
    run = importlib.import_module(f"components.{stage}.stage").run
    module = importlib.import_module(f"components.{stage}.options")
    kind = GROUPS[STAGE_GROUP[stage]]
    assert STAGE_GROUP[stage] == module.GROUP
    assert kind.__module__ == module.__name__
    assert inspect.signature(run).parameters["options"].default == kind()
    assert set(module.SHARED) <= {info.name for info in describe_options(SharedOptions)}
    for info in describe_options(kind):
        assert len(info.help) > 8 and info.help.endswith((".", ")")), info.name


def test_shared_options_that_a_stage_reads_are_stated(stage):
    """The others are left at their defaults by `run_stage`, and do not enter the key of a cached result."""
    known = {info.name for info in describe_options(SharedOptions)}
    read = set()
    for path in (ROOT / "components" / stage).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
                read |= {node.attr} & known if owner == "shared" else set()
    stated = set(shared_fields(stage)) if stage in STAGE_GROUP else set()
    assert read <= stated, "name them in SHARED of its options.py"
    assert stated <= read | {"device"}, "remove from SHARED what nothing reads"  # a launcher may read `device`


def test_help_describes_every_parameter(stage):
    run = importlib.import_module(f"components.{stage}.stage").run
    described = {one.arg_name: one.description for one in parse(inspect.getdoc(run)).params}
    dataclasses = {"options", "shared"}  # described field by field in options.py
    assert set(described) - dataclasses == set(inspect.signature(run).parameters) - dataclasses
    assert all(text and len(text) > 8 for text in described.values())


def test_component_spec_is_small_and_has_no_help(stage):
    component = getattr(importlib.import_module(f"components.{stage}.component"), stage)
    spec = MessageToDict(component.pipeline_spec)["components"][f"comp-{stage.replace('_', '-')}"]
    assert len(json.dumps(spec, separators=(",", ":")).encode()) <= LARGEST_COMPONENT_SPEC
    assert '"description"' not in json.dumps(spec)


def test_component_needs_no_installation(stage):
    component = getattr(importlib.import_module(f"components.{stage}.component"), stage)
    container = component.component_spec.implementation.container
    assert "pip install" not in " ".join(container.command)
    assert ":src-" in container.image
