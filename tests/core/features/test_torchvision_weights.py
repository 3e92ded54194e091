"""torchvision's other networks: their weights' table, their heads."""

import pytest
import torch

from components.core.errors import ConfigError, WeightsError
from components.core.features.backbones import build_backbone
from components.core.features.registry import REGISTRY
from components.core.features.torchvision_weights import torchvision_weights


def test_the_tables_agree_where_both_have_a_network():
    for name in ("resnet18", "resnet50", "resnet101"):
        theirs = torchvision_weights(name)
        assert (theirs.url, theirs.sha256, theirs.file) == (
            REGISTRY[name].url,
            REGISTRY[name].sha256,
            REGISTRY[name].file,
        )
        assert theirs.size_bytes == pytest.approx(REGISTRY[name].size_bytes, rel=1e-3)


def test_a_network_without_weights_says_so(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="vit_h_14"):
        torchvision_weights("vit_h_14")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "densenet121-a639ec97.pth").write_bytes(b"not these")
    with pytest.raises(WeightsError, match="must begin with a639ec97"):
        build_backbone("densenet121", num_classes=2, pretrained=True, weights_dir=str(tmp_path))


@pytest.mark.parametrize("name", ["densenet121", "mobilenet_v3_small", "convnext_tiny", "googlenet"])
def test_a_network_answers_with_two_logits_while_it_trains(name):
    network = build_backbone(name, num_classes=2, pretrained=False)
    network.module.train()
    tiles = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert network.module(network.prepare(tiles, 64)).shape == (2, 2)


def test_a_network_for_one_size_refuses_others():
    network = build_backbone("vit_b_32", num_classes=2, pretrained=False)
    network.check_input_px(224)
    with pytest.raises(ConfigError, match="224 px only, not of 64"):
        network.check_input_px(64)
