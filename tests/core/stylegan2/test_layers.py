"""Convolutions with resampling and modulation against the original's numbers, gradients included."""

import json

import numpy as np
import pytest
import torch

from components.core.stylegan2.layers import GAINS, activate, conv2d_resample, modulated_conv2d


@pytest.fixture(scope="module")
def operations(golden):
    data = golden("conv_ops")
    return data, json.loads(str(data["manifest_json"])), torch.tensor(golden("resample_ops")["filter/1331"])


def check(data, name, y, inputs):
    np.testing.assert_allclose(y.detach(), data[f"{name}/y"], atol=1e-5, err_msg=name)
    gradients = torch.autograd.grad(y, list(inputs.values()), torch.tensor(data[f"{name}/gy"]))
    for key, gradient in zip(inputs, gradients, strict=True):
        expected = data[f"{name}/g{key}"]
        np.testing.assert_allclose(gradient, expected, atol=1e-5 + 2e-5 * abs(expected).max(), err_msg=f"{name} {key}")


def test_convolutions_equal_the_original(operations):
    data, manifest, kernel = operations
    entries = [entry for entry in manifest if entry["kind"] == "conv2d_resample"]
    assert {(entry["k"], entry["up"], entry["down"]) for entry in entries} >= {
        (3, 2, 1),
        (3, 1, 2),
        (1, 2, 1),
        (1, 1, 2),
    }
    for entry in entries:
        inputs = {key: torch.tensor(data[f"{entry['id']}/{key}"], requires_grad=True) for key in ("x", "w")}
        y = conv2d_resample(inputs["x"], inputs["w"], kernel=kernel, up=entry["up"], down=entry["down"])
        check(data, entry["id"], y, inputs)


def test_modulated_convolutions_equal_both_executions_of_the_original(operations):
    data, manifest, kernel = operations
    entries = [entry for entry in manifest if entry["kind"] == "modulated_conv2d"]
    assert {entry["fused"] for entry in entries} == {True, False}
    for entry in entries:
        name = entry["id"]
        inputs = {key: torch.tensor(data[f"{name}/{key}"], requires_grad=True) for key in ("x", "w", "s")}
        noise = torch.tensor(data[f"{name}/noise"]) if entry["noise"] else None
        no_bias = torch.zeros(len(inputs["w"]))
        y = modulated_conv2d(
            *inputs.values(), no_bias, kernel=kernel, up=entry["up"], demodulate=entry["demodulate"], noise=noise
        )
        check(data, name, y, inputs)


def test_activations_equal_the_original(golden):
    data = golden("resample_ops")
    entries = [entry for entry in json.loads(str(data["manifest_json"])) if entry["kind"] == "bias_act"]
    assert len(entries) == 4
    for entry in entries:
        name, gain = entry["id"], entry["gain"] or GAINS[entry["act"]]
        x = torch.tensor(data[f"{name}/x"], requires_grad=True)
        biased = 2 * x + torch.tensor(data[f"{name}/b"])[:, None, None]  # the numbers were made with twice the input
        y = activate(biased, entry["act"], gain=gain, clamp=entry["clamp"])
        check(data, name, y, {"x": x})


def test_half_precision_guard_does_not_change_the_function():
    rng = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 8, 6, 6, generator=rng), torch.randn(4, 8, 3, 3, generator=rng) * 300
    styles, bias = torch.randn(2, 8, generator=rng) * 500, torch.randn(4, generator=rng)
    kernel = torch.ones(4, 4) / 16
    full = modulated_conv2d(x, weight, styles, bias, kernel=kernel)
    half = modulated_conv2d(x.half(), weight, styles, bias, kernel=kernel)
    assert half.dtype == torch.float16
    np.testing.assert_allclose(half.float(), full, atol=0.02)
