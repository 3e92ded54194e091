"""The augmentation pipe against the original's numbers."""

import numpy as np
import pytest
import torch

from components.core.stylegan2.augment.pipe import AugmentPipe
from components.core.stylegan2.augment.transforms import COLOUR, GEOMETRY

SINGLE = [*GEOMETRY, *COLOUR, "imgfilter", "cutout"]
GROUPS = ["blit", "geom", "bg", "color", "bgc", "bgcf"]
RECORDED = {
    "xflip": "xflip_u",
    "rotate90": "rot90_u",
    "xint": "xint_u",
    "scale": "scale_n",
    "prerotation": "prerot_u",
    "aniso": "aniso_n",
    "postrotation": "postrot_u",
    "xfrac": "xfrac_n",
    "brightness": "brightness_n",
    "contrast": "contrast_n",
    "lumaflip": "lumaflip_u",
    "hue": "hue_u",
    "saturation": "saturation_n",
}


def assert_close(ours, theirs, name):
    """A bilinear tap at the border may flip with rounding."""
    difference = np.abs(ours.detach().numpy() - theirs)
    assert difference.max() <= 1e-2, name
    assert (difference > 1e-4).mean() <= 1e-3, name


class Recording:
    """A source that plays back what the original drew, and sees to the order."""

    def __init__(self, data, tag):
        self.data, self.tag, self.names = data, tag, []

    def _draw(self, name, shape):
        self.names.append(RECORDED[name])
        return torch.tensor(self.data[f"{self.tag}/draw/{RECORDED[name]}"]).double().reshape(shape)

    uniform = normal = _draw

    def gate(self, name, n, probability):
        return torch.tensor(self.data[f"{self.tag}/gate/{RECORDED[name]}"]).double().reshape(n) < probability


@pytest.mark.parametrize("name", [*SINGLE, *GROUPS, "gray_bgc", "rect_xint", "rect_scale", "rect_xfrac"])
def test_percentiles_equal_the_original(golden, name):
    data = golden("augment_debug")
    kind, _, preset = name.rpartition("_")
    images = torch.tensor(data[f"{kind}_images" if kind else "images"])
    pipe = AugmentPipe(preset)
    for q, expected in zip(data["percentiles"].tolist(), data[f"{name}/out"], strict=True):
        assert_close(pipe(images, debug_percentile=q), expected, f"{name} at {q}")


def test_gradient_equals_the_original(golden):
    data = golden("augment_debug")
    images = torch.tensor(data["images"], requires_grad=True)
    result = AugmentPipe("bgc")(images, debug_percentile=float(data["bgc/grad_pct"]))
    (gradient,) = torch.autograd.grad(result, images, torch.tensor(data["bgc/gy"]))
    assert_close(gradient, data["bgc/gx"], "gradient")


@pytest.mark.parametrize("tag", ["p1", "p0.6", "p0", "p1.3"])
def test_random_draws_equal_the_original(golden, tag):
    data = golden("augment_draws")
    pipe, source, images = AugmentPipe("bgc"), Recording(data, tag), torch.tensor(data["images"])
    pipe.p.fill_(float(tag.removeprefix("p")))
    assert_close(pipe.augment(images, pipe.draw(images, source)), data[f"{tag}/out"], tag)
    drawn = [key.rpartition("/")[2] for key in data if key.startswith(f"{tag}/draw/")]
    assert source.names == drawn


def test_filters_equal_the_original(golden):
    data, state = golden("augment_debug"), AugmentPipe("bgcfnc").state_dict()
    assert sorted(state) == ["Hz_fbank", "Hz_geom", "p"]
    np.testing.assert_allclose(state["Hz_geom"], data["Hz_geom"], atol=1e-7)
    np.testing.assert_allclose(state["Hz_fbank"], data["Hz_fbank"], atol=1e-7)
    np.testing.assert_allclose(state["Hz_fbank"].sum(dim=0), np.eye(43)[21], atol=1e-7)
