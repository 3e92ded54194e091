"""The discriminator against the original's numbers."""

import json

import numpy as np
import pytest
import torch

from components.core.stylegan2 import Discriminator


def build(state, c_dim=2, resolution=32, channels=3, **options):
    network = Discriminator(c_dim, resolution, channels, channel_base=1024, channel_max=64, **options)
    network.load_state_dict(state)
    return network


def state_dict(data, prefix="sd/"):
    return {key.removeprefix(prefix): torch.tensor(value) for key, value in data.items() if key.startswith(prefix)}


@pytest.fixture(scope="module")
def data(golden):
    return golden("discriminator")


@pytest.mark.parametrize("group", [2, 4, 8, None])
def test_logits_equal_the_original(data, group):
    network = build(state_dict(data), mbstd_group_size=group)
    logits = network(torch.tensor(data["images"]), torch.tensor(data["labels"]))
    np.testing.assert_allclose(logits.detach(), data[f"logits_mbstd{group}"], atol=1e-5)


def test_gradients_labels_and_clamp_equal_the_original(data):
    network, labels = build(state_dict(data)), torch.tensor(data["labels"])
    images = torch.tensor(data["images"], requires_grad=True)
    network(images, labels).sum().backward()
    np.testing.assert_allclose(images.grad, data["grad_img"], atol=1e-7)
    for name, parameter in network.named_parameters():
        expected = data.get(f"sum_gradnorm/{name}")
        if expected is not None:
            np.testing.assert_allclose(parameter.grad.norm(), expected, rtol=2e-4, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(network.mapping(None, labels).detach(), data["cmap"], atol=1e-5)
    clamped = build(state_dict(data), conv_clamp=0.6)(images, labels)
    np.testing.assert_allclose(clamped.detach(), data["logits_clamp0.6"], atol=1e-5)


@pytest.mark.parametrize(
    ("variant", "c_dim", "channels", "architecture"),
    [("uncond", 0, 3, "resnet"), ("gray", 2, 1, "resnet"), ("orig", 2, 3, "orig"), ("skip", 0, 3, "skip")],
)
def test_variants_equal_the_original(golden, variant, c_dim, channels, architecture):
    data = golden("discriminator_variants")
    network = build(state_dict(data, f"{variant}/sd/"), c_dim, 16, channels, architecture=architecture)
    logits = network(torch.tensor(data[f"{variant}/images"]), torch.tensor(data[f"{variant}/labels"]))
    np.testing.assert_allclose(logits.detach(), data[f"{variant}/logits"], atol=1e-5)


def test_names_shapes_and_order_are_the_official_ones(golden_file):
    for name, expected in json.loads(golden_file("state_dict_shapes.json").read_text()).items():
        config = expected["config"]
        widths = {key: config[key] for key in ("channel_base", "channel_max")}
        with torch.device("meta"):
            network = Discriminator(config["c_dim"], config["resolution"], num_fp16_res=4, **widths)
        parameters = dict(network.named_parameters())
        ours = [
            [key, list(value.shape), "param" if key in parameters else "buffer"]
            for key, value in network.state_dict().items()
        ]
        assert ours == expected["D"], name
        assert {key: network.get_submodule(key).fp16 for key in expected["D_fp16"]} == expected["D_fp16"]
