"""The pipeline as KFP sees it: it compiles, its types protect, its help is whole, its IR in git is fresh."""

from pathlib import Path

import pytest
from kfp import dsl
from kfp.dsl.types.type_utils import InconsistentTypeException

from components.pack.component import pack
from components.split.component import split
from components.tile.component import tile
from pipelines.study.compile import published_yaml, study_yaml
from pipelines.study.pipeline import study

COMPILED = Path(__file__).parents[2] / "pipelines" / "compiled" / "study.yaml"


def test_split_plan_cannot_be_wired_into_a_tile_set():
    with pytest.raises(InconsistentTypeException, match=r"system\.TileSet"):

        @dsl.pipeline
        def crossed(source: str):
            cut = tile(sources=[source])
            planned = split(manifest=cut.outputs["manifest"])
            pack(tiles=planned.outputs["plan"], plan=planned.outputs["plan"], fold="all")


def test_every_ui_parameter_is_explained():
    for name, parameter in study.component_spec.inputs.items():
        assert parameter.description, name
        assert parameter.optional, name


def test_committed_ir_is_fresh():
    assert COMPILED.read_text(encoding="utf-8") == study_yaml(), "run `make compile` and commit the result"
    published = COMPILED.with_name("published.yaml").read_text(encoding="utf-8")
    assert published == published_yaml(), "run `make compile` and commit the result"
