"""The pipeline as KFP sees it: its types protect, its help is whole, flat and nested are one study, its IR is fresh."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kfp import dsl
from kfp.dsl.types.type_utils import InconsistentTypeException

from components.groups import GROUPS
from components.pack.component import pack
from components.split.component import split
from components.tile.component import tile
from pipelines.study.compile import compile_yaml, published_yaml, read_ir, study_yaml
from pipelines.study.parameters import PARAMETERS
from pipelines.study.pipeline import local_study
from pipelines.study.published import local_published
from tests.pipelines.resolved_ir import executor_arguments

COMPILED = Path(__file__).parents[2] / "pipelines" / "compiled" / "study.yaml"


def test_split_plan_cannot_be_wired_into_a_tile_set():
    with pytest.raises(InconsistentTypeException, match=r"system\.TileSet"):

        @dsl.pipeline
        def crossed(source: str):
            tiled = tile(sources=[source])
            planned = split(manifest=tiled.outputs["manifest"])
            pack(tiles=planned.outputs["plan"], plan=planned.outputs["plan"], fold="all")


def test_every_ui_parameter_is_explained():
    described = local_study().component_spec.inputs
    assert [*described] == [one.name for one in PARAMETERS]
    assert len(described) <= 30
    for name, parameter in described.items():
        assert parameter.description, name
        assert parameter.optional == (name != "source"), name


def test_every_group_is_a_parameter():
    types = {one.name: one.type for one in PARAMETERS}
    assert {name: types[name] for name in GROUPS} == dict.fromkeys(GROUPS, dict)


@pytest.mark.parametrize(("flat", "nested"), [(study_yaml, local_study), (published_yaml, local_published)])
def test_the_flat_study_and_the_nested_one_have_the_same_tasks_and_arguments(flat, nested):
    """A cluster is given the flat one, this machine the nested one."""
    on_cluster = executor_arguments(read_ir(flat())[0])
    local = executor_arguments(read_ir(compile_yaml(nested()))[0])
    assert len(local) == 16
    assert [one for one in on_cluster if one["stage"] != "outcome"] == local


def test_committed_ir_is_fresh():
    assert COMPILED.read_text(encoding="utf-8") == study_yaml(), "run `make compile` and commit the result"
    published = COMPILED.with_name("published.yaml").read_text(encoding="utf-8")
    assert published == published_yaml(), "run `make compile` and commit the result"


def test_nothing_is_traced_at_import_and_the_parameters_need_no_kfp():
    code = """
import json, sys
import pipelines.study.parameters, components.groups
light = [name for name in ("kfp", "torch", "kubernetes", "pandas", "scipy") if name in sys.modules]
from kfp import dsl
traced = []
stock = dsl.pipeline
dsl.pipeline = lambda *a, **k: traced.append(k) or stock(*a, **k)
import pipelines.study.compile
print(json.dumps([light, traced]))
"""
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert json.loads(done.stdout) == [[], []]
