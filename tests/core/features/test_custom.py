"""A network of the user's own: a description and a state dict, from a folder and from a bucket."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from components.core.errors import ConfigError, WeightsError
from components.core.features.extractors import load_extractor
from components.core.store import open_store

sys.path.insert(0, str(Path(__file__).parents[1]))
pytest_plugins = ["real_s3"]
ARCHITECTURE, ARGUMENTS = "vit_tiny_patch16_224", {"img_size": 64}
MEAN, STD = [0.7, 0.5, 0.65], [0.2, 0.25, 0.2]


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model(ARCHITECTURE, num_classes=0, **ARGUMENTS).eval()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def describe(folder: Path, network: torch.nn.Module, **changed: object) -> None:
    folder.mkdir(exist_ok=True)
    save_file(network.state_dict(), folder / "own.safetensors")
    sha256 = hashlib.sha256((folder / "own.safetensors").read_bytes()).hexdigest()
    stated = {
        "architecture": ARCHITECTURE, "arguments": ARGUMENTS, "file": "own.safetensors", "sha256": sha256,
        "input_px": 64, "mean": MEAN, "std": STD, "licence": "none", "source": "a test", **changed,
    }  # fmt: skip
    (folder / "own-vit.json").write_text(json.dumps({key: value for key, value in stated.items() if value is not None}))


def images() -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_its_features_are_timms_and_every_number_names_it(tmp_path: Path, network) -> None:
    describe(tmp_path / "weights", network)
    extractor = load_extractor("own-vit", weights_dir=str(tmp_path / "weights"))
    x = images().float() / 255
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (MEAN, STD))
    with torch.no_grad():
        np.testing.assert_allclose(extractor(images()), network((x - mean) / std), atol=1e-4)
    record = extractor.record()
    assert record["extractor"] == "own-vit"
    assert record["extractor_px"] == 64
    assert record["extractor_trained"] is True
    stated = json.loads((tmp_path / "weights" / "own-vit.json").read_text())
    assert record["extractor_sha256"] == stated["sha256"]


def test_a_state_dict_of_torch_is_read_without_running_it(tmp_path: Path, network) -> None:
    folder = tmp_path / "weights"
    describe(folder, network)
    torch.save(network.state_dict(), folder / "own.pt")
    sha256 = hashlib.sha256((folder / "own.pt").read_bytes()).hexdigest()
    describe(folder, network, file="own.pt", sha256=sha256)
    assert load_extractor("own-vit", weights_dir=str(folder)).dim == network.num_features
    torch.save(network, folder / "own.pt")  # a whole pickled module
    sha256 = hashlib.sha256((folder / "own.pt").read_bytes()).hexdigest()
    describe(folder, network, file="own.pt", sha256=sha256)
    with pytest.raises(WeightsError, match="does not fit"):
        load_extractor("own-vit", weights_dir=str(folder))


def test_it_comes_from_a_bucket(bucket: str, tmp_path: Path, network) -> None:
    describe(tmp_path / "weights", network)
    store = open_store(bucket)
    for name in ("own-vit.json", "own.safetensors"):
        store.put(tmp_path / "weights" / name, name)
    extractor = load_extractor("own-vit", weights_dir=bucket)
    assert extractor(images()).shape == (3, network.num_features)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sha256": "0" * 64}, "is not own.safetensors"),
        ({"sha256": "6726825d"}, "sha256 must be 64 hex digits"),
        ({"architecture": "no_such_net"}, "Unknown model"),
        ({"architecture": "vit_small_patch16_224"}, "does not fit vit_small_patch16_224"),
        ({"arguments": {"pretrained": True}}, "without pretrained"),
        ({"file": "../own.safetensors"}, "a name without a folder"),
        ({"file": "absent.safetensors"}, "could not be found"),
        ({"mean": [0.5]}, "mean must be three numbers"),
        ({"std": [0.5, 0, 0.5]}, "std must be three numbers"),
        ({"input_px": None}, "input_px must be"),
        ({"input_px": 96}, "does not take images of 96 px"),
        ({"licence": None}, "licence must be a string"),
    ],
)
def test_invalid_descriptions_are_refused(tmp_path: Path, network, changed: dict, message: str) -> None:
    describe(tmp_path / "weights", network, **changed)
    with pytest.raises(WeightsError, match=message):
        load_extractor("own-vit", weights_dir=str(tmp_path / "weights"))


def test_a_name_that_nobody_describes(tmp_path: Path) -> None:
    for name in ("own-vit", "../own-vit"):
        with pytest.raises(ConfigError, match=r"no feature extractor .* in the weights folder"):
            load_extractor(name, weights_dir=str(tmp_path))
