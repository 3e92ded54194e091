"""The discriminator against the original's numbers."""

import json

import numpy as np
import pytest
import torch
from derivatives import by_autograd, by_func_grad, check_gradients

from components.core.errors import ConfigError
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
        in_fp16 = {key: network.get_submodule(key).dtype == torch.float16 for key in expected["D_fp16"]}
        assert in_fp16 == expected["D_fp16"]


@pytest.mark.parametrize("differentiate", [by_autograd, by_func_grad])
def test_r1_equals_the_original(data, differentiate):
    network, labels = build(state_dict(data)), torch.tensor(data["labels"])
    slopes = differentiate(lambda images: network(images, labels).sum(), torch.tensor(data["images"]))
    penalty = slopes.square().sum(dim=(1, 2, 3))
    np.testing.assert_allclose(penalty.detach(), data["r1_penalty"], rtol=1e-4)
    loss = (penalty * float(data["gamma"]) / 2).mean()
    np.testing.assert_allclose(loss.detach(), data["r1_loss"], rtol=1e-4)
    loss.backward()
    check_gradients(network, data, "r1_", rtol=1e-3)


def test_compiled_r1_equals_the_eager_one(data):
    network, labels = build(state_dict(data)), torch.tensor(data["labels"])

    def penalty(images):
        return by_func_grad(lambda images: network(images, labels).sum(), images).square().sum()

    gradients = []
    for function in (penalty, torch.compile(penalty, fullgraph=True, backend="aot_eager")):
        network.zero_grad()
        function(torch.tensor(data["images"])).backward()
        gradients.append({name: one.grad for name, one in network.named_parameters() if one.grad is not None})
    eager, compiled = gradients
    assert eager.keys() == compiled.keys()
    for name, gradient in eager.items():
        assert (compiled[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


def test_frozen_layers_keep_names_and_values_and_get_no_gradient(data):
    state = state_dict(data)
    network, plain = (build(state, freeze_layers=count) for count in (5, 0))
    assert list(network.state_dict()) == list(plain.state_dict()) == list(state)
    frozen = set(dict(plain.named_parameters())) - set(dict(network.named_parameters()))
    layers = ["b32.fromrgb", "b32.conv0", "b32.conv1", "b32.skip", "b16.conv0"]
    assert frozen == {f"{layer}.{name}" for layer in layers for name in ("weight", "bias")} - {"b32.skip.bias"}
    images, labels = torch.tensor(data["images"]), torch.tensor(data["labels"])
    logits = network(images, labels)
    np.testing.assert_array_equal(logits.detach(), plain(images, labels).detach())
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert not any(network.get_buffer(name).requires_grad for name in frozen)


def test_more_layers_than_there_are_cannot_be_frozen():
    Discriminator(0, 16, channel_base=64, freeze_layers=7)
    with pytest.raises(ConfigError, match="freeze_layers is 8: at 16 px the discriminator has 7 convolutions"):
        Discriminator(0, 16, channel_base=64, freeze_layers=8)


def test_depth_of_the_mapping_network_is_an_option():
    network = Discriminator(3, 8, channel_base=64, mapping_layers=0)
    assert [name for name in network.state_dict() if name.startswith("mapping")] == [
        "mapping.embed.weight",
        "mapping.embed.bias",
    ]
    labels = torch.eye(3)
    cmap = network.mapping(None, labels)
    np.testing.assert_allclose(cmap.detach().square().mean(dim=1), np.ones(3), rtol=1e-5)
    assert network(torch.zeros(3, 3, 8, 8), labels).shape == (3, 1)


def test_float16_is_float32_on_a_cpu_and_bfloat16_is_near_it(data):
    images, labels = torch.tensor(data["images"]), torch.tensor(data["labels"])

    def logits(**options):
        return build(state_dict(data), num_fp16_res=4, conv_clamp=256.0, **options)(images, labels).detach().numpy()

    np.testing.assert_array_equal(logits(), logits(precision="float16"))
    np.testing.assert_allclose(logits(), data["logits"], atol=1e-5)
    reduced = logits(precision="bfloat16")
    assert not np.array_equal(reduced, logits())
    np.testing.assert_allclose(reduced, data["logits"], atol=0.05 * np.abs(data["logits"]).max())


def test_a_batch_that_cannot_be_grouped_is_refused(data):
    network = build(state_dict(data), mbstd_group_size=4)
    with pytest.raises(AssertionError, match="6 images cannot be grouped by 4"):
        network(torch.zeros(6, 3, 32, 32), torch.zeros(6, 2))
