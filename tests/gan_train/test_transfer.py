"""A training that begins with another network takes its weights, and never forgets whom that network has seen."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from components.core.data.file_names import LINEAGE
from components.core.errors import LeakageError
from components.core.io.atomic_files import write_json
from components.core.stylegan2 import Discriminator, Generator

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core" / "stylegan2"))
import trainings
from official_files import write_official

FIRST, LAST = "network-snapshot-000000.000.safetensors", "network-snapshot-000000.016.safetensors"
WIDTH = {"channel_base": 256, "channel_max": 32}
SHORT = {
    **WIDTH,
    "batch": 8,
    "mapping_layers": 2,
    "latent_dim": 16,
    "gamma": 0.1,
    "kimg": 0.016,
    "augment": "noaug",
    "device": "cpu",
    "threads": 1,
}


def train(dataset, folder, **options):
    trainings.train(dataset, folder, **{**SHORT, **options})
    return folder / "snapshots"


def with_patients(folder, *patients, key="k"):
    lineage = {"key_id": key, "plan": "p", "fold": "1", "scheme": "binary", "patients": list(patients), "trusted": ""}
    write_json(folder / LINEAGE, lineage)


def test_weights_and_patients_arrive(toy_archive, tmp_path):
    first = train(toy_archive, tmp_path / "a", seed=1)
    with_patients(first, "another")
    second = train(toy_archive, tmp_path / "b", seed=2, resume_from=str(first / LAST))
    old, new = load_file(first / LAST), load_file(second / FIRST)
    assert all(torch.equal(value, new[name]) for name, value in old.items())
    assert not all(torch.equal(value, load_file(second / LAST)[name]) for name, value in old.items())
    assert json.loads((second / LINEAGE).read_text())["patients"] == ["another", "i"]


@pytest.mark.parametrize("key", ["", "other"])
def test_an_origin_that_proves_nothing_must_be_stated(toy_archive, tmp_path, key):
    first = train(toy_archive, tmp_path / "a")
    with_patients(first, "someone", key=key)
    with pytest.raises(LeakageError, match="--trust-origin"):
        train(toy_archive, tmp_path / "b", resume_from=str(first / LAST))
    assert not (tmp_path / "b").exists() or not list((tmp_path / "b").iterdir())
    second = train(toy_archive, tmp_path / "b", resume_from=str(first / LAST), trust_origin="bought")
    assert json.loads((second / LINEAGE).read_text())["trusted"] == "bought"


def test_an_official_network_brings_its_discriminator(toy_archive, tmp_path, capsys):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        G = Generator(16, 0, 16, 16, mapping_layers=2, **WIDTH)
        D = Discriminator(0, 16, **WIDTH)
    states = {"G": G.state_dict(), "D": D.state_dict(), "G_ema": G.state_dict()}
    options = {"G": {"mapping_kwargs": {"num_layers": 2}, "synthesis_kwargs": WIDTH}, "D": WIDTH}
    file = write_official(tmp_path, {"network-snapshot-000042.pkl": {"networks": states, "options": options}})
    snapshots = train(
        toy_archive, tmp_path / "b", resume_from=str(file["network-snapshot-000042.pkl"]), trust_origin="public"
    )
    said = capsys.readouterr().out
    assert "discriminator: " in said
    assert "adapted: mapping.fc0.weight" in said
    new = load_file(snapshots / FIRST)
    for name in ("synthesis.b16.conv1.weight", "mapping.fc1.weight"):
        assert torch.equal(new[name], states["G_ema"][name]), name
