"""Snapshots: what is read is what was written, and anything else is a sentence."""

import json
import shutil

import numpy as np
import pytest
import torch

from components.core.errors import DataError
from components.core.stylegan2 import Generator
from components.core.stylegan2.snapshot import load_centres, load_generator, save_snapshot


@pytest.fixture
def written(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        G = Generator(8, 2, 8, 16, channel_base=128, channel_max=16, mapping_layers=2, conv_clamp=256.0)
    path = tmp_path / "network-snapshot-000004.safetensors"
    save_snapshot(path, G, 4.0)
    return path, G


def test_round_trip(written):
    path, G = written
    again = load_generator(path)
    assert again.arguments == G.arguments
    assert not again.training
    assert list(again.state_dict()) == list(G.state_dict())
    assert all(torch.equal(again.state_dict()[name], value) for name, value in G.state_dict().items())
    assert json.loads(path.with_suffix(".json").read_text())["kimg"] == 4.0


def test_a_generator_artifact_is_its_folder(written, tmp_path):
    path, G = written
    folder = tmp_path / "generator"
    folder.mkdir()
    for suffix in (".safetensors", ".json"):
        shutil.copy(path.with_suffix(suffix), folder / f"generator{suffix}")
    assert torch.equal(load_generator(folder).synthesis.b4.const, G.synthesis.b4.const)


def test_class_centres_lie_beside(written):
    path, G = written
    assert load_centres(path) is None
    tensors, centres = path.read_bytes(), torch.arange(16.0).view(2, 8) / 7
    save_snapshot(path, G, 4.0, centres)
    assert path.read_bytes() == tensors
    assert torch.equal(load_centres(path), centres)
    save_snapshot(path, G, 4.0)
    assert load_centres(path) is None  # they were of the network before


@pytest.mark.parametrize(
    "content",
    [b"", b"x", np.zeros((3, 8), np.float32), np.zeros((2, 8)), np.array([{}] * 16, object).reshape(2, 8)],
    ids=["empty", "text", "shape", "type", "pickle"],
)
def test_other_centres_are_refused(written, content):
    path, _ = written
    file = path.with_name("network-snapshot-000004.centres.npy")
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content, allow_pickle=True)
    with pytest.raises(DataError, match=r"centres\.npy is torn, or belongs to another network"):
        load_centres(path)


def test_missing_files_are_named(written):
    path, _ = written
    with pytest.raises(DataError, match=r"no file .*other\.json"):
        load_generator(path.with_name("other.safetensors"))
    path.unlink()
    with pytest.raises(DataError, match="no snapshot"):
        load_generator(path)


@pytest.mark.parametrize("kept", [4, 200, -10])
def test_torn_tensors_are_refused(written, kept):
    path, _ = written
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match="torn"):
        load_generator(path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"arguments": {"z_dim": 8}}'])
def test_torn_descriptions_are_refused(written, text):
    path, _ = written
    path.with_suffix(".json").write_text(text)
    with pytest.raises(DataError, match=r"describe|not valid JSON"):
        load_generator(path)


def test_another_networks_description_is_refused(written):
    path, _ = written
    description = json.loads(path.with_suffix(".json").read_text())
    description["arguments"]["w_dim"] = 16
    path.with_suffix(".json").write_text(json.dumps(description))
    with pytest.raises(DataError, match="does not hold the network") as refused:
        load_generator(path)
    assert "\n" not in str(refused.value)
