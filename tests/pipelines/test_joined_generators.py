"""The generators of all schemes as one artifact: a scheme gets its own out of it, or the task fails."""

import json

import pytest
from kfp import dsl

from components.artifacts import Generator
from components.core.errors import DataError
from pipelines.study.published import join_generators, pick_generator


def generator(folder, scheme):
    folder.mkdir()
    (folder / "lineage.json").write_text(json.dumps({"scheme": scheme, "fold": "all"}))
    (folder / "G.safetensors").write_bytes(scheme.encode())
    return Generator(name="generator", uri=str(folder), metadata={"fid": 12.5, "content": scheme})


def join(tmp_path, *schemes):
    generators = [generator(tmp_path / f"generator-{index}", scheme) for index, scheme in enumerate(schemes)]
    joined = dsl.Model(name="joined", uri=str(tmp_path / "joined"))
    join_generators.python_func(generators=generators, joined=joined)
    return joined


def pick(tmp_path, scheme, joined):
    picked = Generator(name="generator", uri=str(tmp_path / f"picked-{scheme}"))
    pick_generator.python_func(scheme=scheme, joined=joined, generator=picked)
    return picked


@pytest.mark.parametrize("schemes", [["binary"], ["diagnosis"], ["binary", "diagnosis"], ["diagnosis", "binary"]])
def test_each_scheme_gets_its_own_generator(schemes, tmp_path):
    joined = join(tmp_path, *schemes)
    for index, scheme in enumerate(schemes):
        picked = pick(tmp_path, scheme, joined)
        files = {path.name: path.read_bytes() for path in (tmp_path / f"picked-{scheme}").iterdir()}
        assert files == {path.name: path.read_bytes() for path in (tmp_path / f"generator-{index}").iterdir()}
        assert picked.metadata == {"fid": 12.5, "content": scheme}


def test_a_scheme_without_a_generator_fails_in_one_sentence(tmp_path):
    joined = join(tmp_path, "binary")
    with pytest.raises(DataError, match=r"^No generator has the scheme diagnosis \(joined: binary\): [^.\n]*\.$"):
        pick(tmp_path, "diagnosis", joined)
    assert not (tmp_path / "picked-diagnosis").exists()


def test_two_generators_of_one_scheme_are_refused(tmp_path):
    with pytest.raises(DataError, match="Two generators have the scheme binary"):
        join(tmp_path, "binary", "binary")
