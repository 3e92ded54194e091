"""The generator against the original's numbers."""

import json

import numpy as np
import pytest
import torch
from derivatives import by_autograd, by_func_grad, check_gradients

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
        in_fp16 = {key: network.synthesis.get_submodule(key).dtype == torch.float16 for key in expected["G_fp16"]}
        assert in_fp16 == expected["G_fp16"]


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


@pytest.mark.parametrize("differentiate", [by_autograd, by_func_grad])
def test_path_length_equals_the_original(golden, data, differentiate):
    expected, network = golden("path_length"), build(state_dict(data)).train()
    direction = torch.tensor(expected["pl_noise_unit"]) / 32
    ws = network.mapping(torch.tensor(expected["z"]), torch.tensor(expected["labels"]))
    images = network.synthesis(ws, noise_mode="const")
    np.testing.assert_allclose(images.detach(), expected["img"], atol=1e-4)
    slopes = differentiate(lambda ws: (network.synthesis(ws, noise_mode="const") * direction).sum(), ws)
    np.testing.assert_allclose(slopes.detach(), expected["pl_grads"], atol=1e-5 * abs(expected["pl_grads"]).max())
    lengths = slopes.square().sum(dim=2).mean(dim=1).sqrt()
    np.testing.assert_allclose(lengths.detach(), expected["pl_lengths"], rtol=1e-5)
    mean = torch.tensor(expected["pl_mean_before"]).lerp(lengths.mean(), float(expected["pl_decay"]))
    np.testing.assert_allclose(mean.detach(), expected["pl_mean_after"], rtol=1e-5)
    loss = (lengths - mean).square().mean() * torch.tensor(expected["pl_weight"])
    np.testing.assert_allclose(loss.detach(), expected["loss"], rtol=1e-4)
    loss.backward()
    check_gradients(network, expected, "", rtol=1e-3)


def test_float16_is_float32_on_a_cpu(data, inputs, generator):
    network = build(state_dict(data), num_fp16_res=4)
    assert network.synthesis.b32.dtype == torch.float16
    with torch.no_grad():
        assert torch.equal(network(*inputs, noise_mode="const"), generator(*inputs, noise_mode="const"))


def test_bfloat16_draws_nearly_the_same_images(data, inputs):
    network = build(state_dict(data), num_fp16_res=4, conv_clamp=256.0, precision="bfloat16")
    seen = {}
    for name in ("b4", "b8", "b32"):
        network.synthesis.get_submodule(name).conv1.register_forward_hook(
            lambda _m, _i, out, name=name: seen.update({name: out.dtype})
        )
    with torch.no_grad():
        images = network(*inputs, noise_mode="const")
    assert seen == {"b4": torch.float32, "b8": torch.bfloat16, "b32": torch.bfloat16}
    assert images.dtype == torch.float32
    expected = data["img_const_psi1.0"]
    assert np.abs(images.numpy() - expected).mean() < 0.01 * np.abs(expected).mean()


def test_noise_drawn_before_is_that_of_its_generator(generator, inputs):
    with torch.no_grad():
        ws = generator.mapping(*inputs)
        noise = generator.synthesis.draw_noise(len(ws), torch.Generator().manual_seed(3))
        ours = generator.synthesis(ws, noise=noise)
        assert torch.equal(ours, generator.synthesis(ws, rng=torch.Generator().manual_seed(3)))


def test_what_is_kept_of_the_weights_follows_them(data, inputs, generator):
    """Between calls in inference mode: other weights, and weights that are changed in place, draw their own images."""
    other = {name: value * 1.5 if name.endswith("conv1.weight") else value for name, value in state_dict(data).items()}
    other["synthesis.b8.conv0.weight"] = other["synthesis.b8.conv0.weight"] + 1
    drawn = []
    for state in (state_dict(data), other):
        generator.load_state_dict(state)
        with torch.no_grad():
            expected = build(state)(*inputs, noise_mode="const")
        with torch.inference_mode():
            drawn += [generator(*inputs, noise_mode="const") for _ in range(2)]
        torch.testing.assert_close(drawn[-2], expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(drawn[-1], expected, rtol=0, atol=1e-5)
    assert (drawn[0] - drawn[-1]).abs().max() > 0.1


def test_memory_layout_does_not_change_the_function(generator, inputs):
    with torch.no_grad():
        ours = generator(*inputs, noise_mode="const")
        generator.synthesis.b4.layout = torch.contiguous_format
        np.testing.assert_allclose(generator(*inputs, noise_mode="const"), ours, atol=1e-5)


def test_compiled_in_one_graph_it_draws_the_same_images(generator, inputs):
    ws = generator.mapping(*inputs).detach()
    noise = generator.synthesis.draw_noise(len(ws), torch.Generator().manual_seed(0))
    compiled = torch.compile(generator.synthesis, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        np.testing.assert_allclose(compiled(ws, noise=noise), generator.synthesis(ws, noise=noise), atol=1e-5)


@pytest.mark.parametrize("resolution", [2, 24, 33])
def test_other_sizes_than_powers_of_two_are_refused(resolution):
    with pytest.raises(AssertionError, match=f"{resolution} px is not a power of two"):
        Generator(8, 0, 8, resolution)
