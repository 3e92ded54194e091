"""What the augmentation pipe does, where the original left no numbers."""

import copy
import math

import pytest
import torch

from components.core.errors import ConfigError, DataError
from components.core.stylegan2.augment import warp
from components.core.stylegan2.augment.draws import Draws, Percentile, Random
from components.core.stylegan2.augment.geometry import inverse_map, rotation_chance
from components.core.stylegan2.augment.pipe import AugmentPipe
from components.core.stylegan2.augment.transforms import PRESETS, STRENGTHS


def images(n=4, channels=3, height=32, width=32, seed=0):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def smooth_images(size=48):
    axis = torch.linspace(-3, 3, size)
    return torch.stack([torch.outer(axis.cos(), (k * axis).sin()) for k in (1, 2, 3)])[None]


def pipe_at(p, preset="bgc", **options):
    pipe = AugmentPipe(preset, **options)
    pipe.p.fill_(p)
    return pipe


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_p_zero_changes_nothing_but_by_rounding(preset):
    """The warp is run even so; its filter is orthogonal, so that enlarging and shrinking undo each other."""
    x = images()
    torch.testing.assert_close(pipe_at(0, preset)(x, rng=rng()), x, atol=1e-4, rtol=0)


def test_warp_takes_out_what_a_moved_image_cannot_show():
    checkers = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 2.0 - 1
    shifted = AugmentPipe("xfrac")(checkers.expand(1, 3, 32, 32), debug_percentile=0.62)
    assert shifted[:, :, 8:-8, 8:-8].abs().max() < 0.9


@pytest.mark.parametrize(("p", "multiplier", "expected"), [(0.3, 1.0, 0.3), (0.6, 0.5, 0.3), (1.0, 1.0, 1.0)])
def test_gates_open_as_often_as_told(p, multiplier, expected):
    n = 4000
    pipe = pipe_at(p, "brightness", multipliers={"brightness": multiplier})
    changed = (pipe(torch.zeros(n, 3, 2, 2), rng=rng()) != 0).any(dim=(1, 2, 3)).double().mean()
    assert abs(changed - expected) <= 4 * math.sqrt(expected * (1 - expected) / n)


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0, 1.3])
def test_one_of_the_two_rotations_happens_with_p(p):
    chance = rotation_chance(p)
    linear, _ = inverse_map(
        Draws(Random(rng()), 4000, {"prerotation": chance, "postrotation": chance}), STRENGTHS, 8, 8
    )
    turned = ((linear - torch.eye(2)).abs() > 1e-9).any(dim=(1, 2)).double().mean()
    assert abs(turned - min(p, 1)) < 0.03


def test_equal_generators_give_equal_images_and_p_does_not_move_the_stream():
    x, first, second, other = images(), rng(), rng(), rng()
    a, b = pipe_at(0.7, "bgcfnc")(x, rng=first), pipe_at(0.7, "bgcfnc")(x, rng=second)
    pipe_at(0.1, "bgcfnc")(x, rng=other)
    assert torch.equal(a, b)
    assert torch.equal(first.get_state(), other.get_state())
    assert not torch.equal(a, pipe_at(0.7, "bgcfnc")(x, rng=first))
    torch.manual_seed(1)
    own = pipe_at(0.7)(x)
    torch.manual_seed(1)
    assert torch.equal(own, pipe_at(0.7)(x))


def test_p_may_be_set_in_any_way():
    x, expected = images(), pipe_at(1.0)(images(), rng=rng())
    pipe = AugmentPipe()
    assert not torch.allclose(pipe(x, rng=rng()), expected)
    pipe.p.copy_(torch.tensor(1.0))
    assert torch.equal(pipe(x, rng=rng()), expected)
    pipe.load_state_dict(AugmentPipe().state_dict())
    assert not torch.allclose(pipe(x, rng=rng()), expected)
    pipe.p = torch.tensor(1.0)
    assert torch.equal(copy.deepcopy(pipe)(x, rng=rng()), expected)


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize(("channels", "height", "width"), [(3, 32, 32), (1, 24, 40), (3, 40, 24)])
def test_every_preset_takes_colour_grey_and_any_shape(preset, channels, height, width):
    x = images(2, channels, height, width)
    y = pipe_at(1.0, preset)(x, rng=rng())
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert y.isfinite().all()
    assert not torch.allclose(y, x, atol=1e-3)


def test_memory_format_does_not_matter():
    x = images()
    expected = pipe_at(1.0, "bgcfnc")(x, rng=rng())
    ours = pipe_at(1.0, "bgcfnc")(x.contiguous(memory_format=torch.channels_last), rng=rng())
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_grey_images_are_moved_as_colour_images_without_colour_are():
    grey = images(channels=1)
    settings = {"multipliers": {"hue": 0, "saturation": 0}}  # grey images have neither, and draw none
    ours = pipe_at(1.0, "bgc", **settings)(grey, rng=rng())
    as_colour = pipe_at(1.0, "bgc", **settings)(grey.expand(-1, 3, -1, -1), rng=rng())
    torch.testing.assert_close(as_colour, ours.expand(-1, 3, -1, -1), atol=1e-5, rtol=0)


def test_whole_pixel_transforms_are_what_they_say():
    x = smooth_images()
    for preset, q, expected in (
        ("xflip", 0.7, x.flip(3)),
        ("rotate90", 0.3, x.rot90(1, (2, 3))),
        ("rotate90", 0.6, x.rot90(2, (2, 3))),
        ("rotate90", 0.8, x.rot90(3, (2, 3))),
    ):
        moved = AugmentPipe(preset)(x, debug_percentile=q)
        assert (moved - expected).abs().max() < 0.05, (preset, q)  # the filter is not quite symmetric
    shifted = AugmentPipe("xint")(x, debug_percentile=0.75)  # by half of an eighth: 3 px of 48
    torch.testing.assert_close(shifted[:, :, 3:, 3:], x[:, :, :-3, :-3], atol=1e-5, rtol=0)


def test_stain_is_bg_and_keeps_hues():
    pipe = pipe_at(1.0, "stain")
    assert set(pipe.multipliers) == set(PRESETS["bg"]) | {"brightness", "contrast", "saturation"}
    flat = torch.tensor([0.5, -0.2, -0.4])[None, :, None, None].expand(64, 3, 8, 8)
    centre = pipe(flat, rng=rng())[:, :, 4, 4]
    chroma = centre - centre.mean(dim=1, keepdim=True)
    direction = chroma / chroma.norm(dim=1, keepdim=True)
    assert torch.allclose(direction, direction[:1], atol=1e-3)
    assert chroma.norm(dim=1).std() > 0.1


def test_strengths_bound_and_multipliers_switch():
    x = images()
    small = pipe_at(1.0, "hue", strengths={"hue": 0.001})(x, rng=rng())
    assert 0 < (small - x).abs().max() < 0.01
    same = pipe_at(1.0, "color", multipliers=dict.fromkeys(("brightness", "contrast", "lumaflip", "saturation"), 0))
    assert torch.equal(same(x, rng=rng()), pipe_at(1.0, "hue")(x, rng=rng()))


def test_cutout_takes_a_quarter_where_it_lies_inside():
    kept = AugmentPipe("cutout")(torch.ones(1, 3, 32, 64), debug_percentile=0.5)
    assert kept.mean() == 0.75
    assert kept[0, :, 16, 32].sum() == 0


def test_noise_has_the_deviation_drawn_for_each_sample():
    y = pipe_at(1.0, "noise")(torch.zeros(400, 1, 16, 16), rng=rng())
    deviations = y.std(dim=(1, 2, 3))
    assert abs(deviations.mean() - 0.1 * math.sqrt(2 / math.pi)) < 0.01  # mean of a half-normal
    assert abs(y.mean()) < 0.005


@pytest.mark.parametrize("preset", ["bg", "stain"])
def test_margins_beyond_need_change_nothing(preset):
    x = images(height=48, width=40)
    exact, rounded = (pipe_at(1.0, preset, margin_multiple=m)(x, rng=rng()) for m in (1, 8))
    torch.testing.assert_close(rounded, exact, atol=1e-4, rtol=0)
    margins = pipe_at(1.0, preset, margin_multiple=8).draw(x, Random(rng())).warp.margins
    assert all(m % 8 == 0 or m in (39, 47) for m in margins)


def test_matrices_resample_as_the_convolutions_do():
    x, kernel, margins = images(height=20, width=28), AugmentPipe().Hz_geom, (5, 27, 0, 13)
    large = warp._enlarge(x, margins, kernel)
    torch.testing.assert_close(warp._enlarge_dense(x, margins, kernel), large, atol=1e-5, rtol=0)
    torch.testing.assert_close(warp._shrink_dense(large, kernel), warp._shrink(large, kernel), atol=1e-5, rtol=0)


def test_what_cannot_be_meant_is_refused_in_one_sentence():
    for make, message in (
        (lambda: AugmentPipe("noaug"), "The augmentation preset 'noaug' is not one of blit, "),
        (lambda: AugmentPipe(""), "The augmentation preset '' is not one of blit, "),
        (lambda: AugmentPipe(multipliers={"xflop": 1}), "No augmentation 'xflop' has a multiplier: give one of xflip,"),
        (lambda: AugmentPipe(strengths={"xflip": 1}), "No augmentation 'xflip' has a strength: give one of xint,"),
        (lambda: AugmentPipe(multipliers={"hue": -1}), "The multiplier of augmentation hue is -1: give a number"),
        (lambda: AugmentPipe(strengths={"hue": math.nan}), "The strength of augmentation hue is nan: give a number"),
        (lambda: Percentile(1.0), "debug_percentile is 1.0: give a number between 0 and 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            make()


def test_images_that_cannot_be_taken_are_refused_in_one_sentence():
    with pytest.raises(DataError, match="The images have 2 channels: augmentation 'bgc' changes colours"):
        AugmentPipe()(images(channels=2))
    assert AugmentPipe("bg")(images(channels=2)).shape == (4, 2, 32, 32)
    with pytest.raises(DataError, match="The images are 21 x 30 px: augmentation 'bgcf' filters them"):
        AugmentPipe("bgcf")(images(height=30, width=21))
    assert AugmentPipe("bgcf")(images(height=22, width=22)).shape == (4, 3, 22, 22)
    assert AugmentPipe()(images(height=4, width=4)).isfinite().all()
