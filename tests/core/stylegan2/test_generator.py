"""The generator against the original's numbers."""

import json

import numpy as np
import pytest
import torch

from components.core.stylegan2 import Generator
from components.core.stylegan2.sampling import to_uint8


def build(state, c_dim=2, resolution=32, channels=3, **options):
    network = Generator(64, c_dim, 64, resolution, channels, channel_base=1024, channel_max=64, **options)
    network.load_state_dict(state)
    return network.eval()


def state_dict(data, prefix="sd/"):
    return {key.removeprefix(prefix): torch.tensor(value) for key, value in data.items() if key.startswith(prefix)}


@pytest.fixture(scope="module")
def data(golden):
    return golden("generator")


@pytest.fixture
def generator(data):
    return build(state_dict(data))


@pytest.fixture(scope="module")
def inputs(data):
    return torch.tensor(data["z"]), torch.tensor(data["labels"])


def test_ws_equal_the_original(generator, data, inputs):
    z, c = inputs
    for name, ws in {
        "ws_psi1.0": generator.mapping(z, c),
        "ws_psi0.7": generator.mapping(z, c, truncation_psi=0.7),
        "ws_psi0.5_cutoff3": generator.mapping(z, c, truncation_psi=0.5, truncation_cutoff=3),
        "ws_zero_label": generator.mapping(z, torch.tensor(data["labels_zero"])),
        "ws_soft_label": generator.mapping(z, torch.tensor(data["labels_soft"])),
    }.items():
        np.testing.assert_allclose(ws.detach(), data[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("psi", [1.0, 0.7])
def test_images_and_pixels_equal_the_original(generator, data, inputs, psi):
    with torch.no_grad():
        images = generator(*inputs, truncation_psi=psi, noise_mode="const")
    np.testing.assert_allclose(images, data[f"img_const_psi{psi}"], atol=1e-4)
    difference = np.abs(to_uint8(images).astype(int) - data[f"uint8_const_psi{psi}"])
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.001


def test_noise_training_mode_and_clamp_equal_the_original(generator, data, inputs):
    with torch.no_grad():
        none = generator(*inputs, noise_mode="none")
        clamped = build(state_dict(data), conv_clamp=0.6)(*inputs, noise_mode="const")
        trained = generator.train()(*inputs, noise_mode="const")
    np.testing.assert_allclose(none, data["img_none_psi1.0"], atol=1e-4)
    np.testing.assert_allclose(clamped, data["img_const_clamp0.6"], atol=1e-4)
    np.testing.assert_allclose(trained, data["img_const_trainmode"], atol=1e-4)


def test_every_layer_equals_the_original(generator, data, inputs):
    seen = {}
    layers = [key.removeprefix("actstat/") for key in data if key.startswith("actstat/")]
    for name in layers:
        generator.synthesis.get_submodule(name).register_forward_hook(
            lambda _m, _i, out, name=name: seen.update({name: out})
        )
    with torch.no_grad():
        generator(*inputs, noise_mode="const")
    for name in layers:
        values = seen[name][:1].double()
        statistics = [values.mean(), values.std(unbiased=False), values.abs().max()]
        np.testing.assert_allclose(statistics, data[f"actstat/{name}"], rtol=1e-4, atol=1e-4, err_msg=name)
        if f"act/{name}" in data:
            np.testing.assert_allclose(seen[name][:1], data[f"act/{name}"], atol=1e-4, err_msg=name)


def test_mean_of_w_moves_in_training_calls_only(generator, data, inputs):
    np.testing.assert_array_equal(generator.mapping.w_avg, data["w_avg_before"])
    generator.mapping(*inputs)
    np.testing.assert_array_equal(generator.mapping.w_avg, data["w_avg_before"])
    generator.train().mapping(*inputs)
    np.testing.assert_allclose(generator.mapping.w_avg, data["w_avg_after_1_train_call"], atol=1e-6)
    generator.mapping(*inputs)
    np.testing.assert_allclose(generator.mapping.w_avg, data["w_avg_after_2_train_calls"], atol=1e-6)
    generator.mapping(*inputs, update_w_avg=False)
    np.testing.assert_allclose(generator.mapping.w_avg, data["w_avg_after_skip"], atol=1e-6)


@pytest.mark.parametrize(
    ("variant", "c_dim", "channels", "architecture"),
    [("uncond", 0, 3, "skip"), ("gray", 2, 1, "skip"), ("resnet", 0, 3, "resnet"), ("orig", 0, 3, "orig")],
)
def test_variants_equal_the_original(golden, variant, c_dim, channels, architecture):
    data = golden("generator_variants")
    network = build(state_dict(data, f"{variant}/sd/"), c_dim, 16, channels, architecture=architecture)
    z, c = torch.tensor(data[f"{variant}/z"]), torch.tensor(data[f"{variant}/labels"])
    np.testing.assert_allclose(network(z, c, noise_mode="const").detach(), data[f"{variant}/img"], atol=1e-4)


def test_names_shapes_and_order_are_the_official_ones(golden_file):
    for name, expected in json.loads(golden_file("state_dict_shapes.json").read_text()).items():
        config = expected["config"]
        with torch.device("meta"):
            network = Generator(
                config["z_dim"],
                config["c_dim"],
                config["w_dim"],
                config["resolution"],
                mapping_layers=config["g_mapping_layers"],
                channel_base=config["channel_base"],
                channel_max=config["channel_max"],
                num_fp16_res=4,
            )
        parameters = dict(network.named_parameters())
        ours = [
            [key, list(value.shape), "param" if key in parameters else "buffer"]
            for key, value in network.state_dict().items()
        ]
        assert ours == expected["G"], name
        assert network.num_ws == expected["num_ws"]
        assert {key: network.synthesis.get_submodule(key).fp16 for key in expected["G_fp16"]} == expected["G_fp16"]


def test_random_noise_follows_its_generator(generator, inputs):
    def draw(seed):
        with torch.no_grad():
            return generator(*inputs, noise_mode="random", rng=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_without_noise_there_are_no_noise_tensors():
    network = Generator(8, 0, 8, 8, channel_base=64, channel_max=8, use_noise=False)
    assert not [name for name in network.state_dict() if "noise" in name]
    z = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(z, torch.zeros(2, 0)), network(z, torch.zeros(2, 0)))
