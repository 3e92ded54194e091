"""Resampling against the original's numbers, and against its definition written out."""

import json

import numpy as np
import pytest
import torch

from components.core.stylegan2 import resample

OPERATIONS = {
    "upfirdn2d": resample.upfirdn2d,
    "filter2d": resample.filter2d,
    "upsample2d": resample.upsample2d,
    "downsample2d": resample.downsample2d,
}


def test_operations_equal_the_original(golden):
    data = golden("resample_ops")
    entries = [entry for entry in json.loads(str(data["manifest_json"])) if entry["kind"] in OPERATIONS]
    assert len(entries) > 50
    for entry in entries:
        name = entry["id"]
        options = {key: value for key, value in entry.items() if key not in ("id", "kind", "shape", "filter")}
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        x = torch.tensor(data[f"{name}/x"], requires_grad=True)
        y = OPERATIONS[entry["kind"]](x, torch.tensor(data[f"filter/{entry['filter']}"]), **options)
        (gx,) = torch.autograd.grad(y, x, torch.tensor(data[f"{name}/gy"]))
        np.testing.assert_allclose(y.detach(), data[f"{name}/y"], atol=1e-5, err_msg=str(entry))
        np.testing.assert_allclose(gx, data[f"{name}/gx"], atol=1e-5, err_msg=str(entry))


@pytest.mark.parametrize(
    ("up", "down", "padding"), [(1, 1, (1, 2, 0, 3)), (2, 1, (2, 1, 2, 1)), (3, 2, (-1, 4, 2, -2))]
)
def test_operation_is_its_definition(up, down, padding):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((5, 6)), rng.standard_normal((3, 4))
    zeros = np.zeros((5 * up, 6 * up))
    zeros[::up, ::up] = x
    x0, x1, y0, y1 = padding
    padded = np.pad(zeros, [(max(y0, 0), max(y1, 0)), (max(x0, 0), max(x1, 0))])
    padded = padded[max(-y0, 0) : padded.shape[0] - max(-y1, 0), max(-x0, 0) : padded.shape[1] - max(-x1, 0)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape)
    expected = (windows * kernel[::-1, ::-1]).sum(axis=(2, 3))[::down, ::down]
    ours = resample.upfirdn2d(torch.tensor(x)[None, None], torch.tensor(kernel), up=up, down=down, padding=padding)
    np.testing.assert_allclose(ours[0, 0], expected, atol=1e-12)


def test_filters_are_prepared_as_the_original_does(golden):
    data = golden("resample_ops")
    np.testing.assert_allclose(resample.fir_filter((1, 3, 3, 1)), data["filter/1331"], atol=1e-7)
    np.testing.assert_allclose(resample.fir_filter((1, 2, 1)), data["filter/121"], atol=1e-7)
    assert resample.fir_filter(data["filter/sym6"].tolist()).shape == (12,)


@pytest.mark.parametrize(
    "options",
    [
        {"down": 2, "padding": (1, 1, 1, 1)},
        {"up": 2, "padding": (2, 1, 2, 1), "gain": 4},
        {"up": (1, 2), "down": (3, 1), "padding": (2, -1, -2, 3), "flip_filter": True},
    ],
)
def test_first_and_second_derivatives_are_those_of_finite_differences(options):
    rng = torch.Generator().manual_seed(0)
    kernel = torch.randn(3, 4, generator=rng, dtype=torch.float64)
    x = torch.randn(1, 2, 6, 7, generator=rng, dtype=torch.float64, requires_grad=True)

    def squared(x):
        return resample.upfirdn2d(x, kernel, **options).square()

    assert torch.autograd.gradcheck(squared, x)
    assert torch.autograd.gradgradcheck(squared, x)


def test_compiled_penalty_on_a_gradient_equals_the_eager_one():
    rng = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 3, 8, 8, generator=rng), torch.randn(5, 3, 1, 1, generator=rng, requires_grad=True)
    kernel = resample.fir_filter()

    def penalty(x):
        def smooth(x):
            return resample.downsample2d(torch.nn.functional.conv2d(x, weight), kernel).tanh().sum()

        return torch.func.grad(smooth)(x).square().sum()

    (eager,) = torch.autograd.grad(penalty(x), weight)
    (compiled,) = torch.autograd.grad(torch.compile(penalty, fullgraph=True, backend="aot_eager")(x), weight)
    np.testing.assert_allclose(compiled, eager, rtol=1e-4, atol=1e-6)
