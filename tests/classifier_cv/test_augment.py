"""Augmentation against torch's exact flips and turns, and the rows that all arms share."""

import pytest
import torch

from components.classifier_cv.augment import augment, draw, order

NEUTRAL = [0.0, 0.9, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5]  # no flip, no turn, whole tile


def applied(tiles, **changes):
    draws = torch.tensor([NEUTRAL] * len(tiles))
    for place, value in changes.items():
        draws[:, int(place.removeprefix("d"))] = value
    return augment(tiles, draws, torch.Generator().manual_seed(0), None)


@pytest.fixture
def tiles():
    return torch.randint(0, 256, (5, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_neutral_draws_change_nothing(tiles):
    assert torch.equal(applied(tiles), tiles)


def test_flip_and_quarter_turns_are_exact(tiles):
    assert torch.equal(applied(tiles, d1=0.1), tiles.flip(3))
    turns = [applied(tiles, d2=quarter / 4 + 0.01) for quarter in range(4)]
    for times, turned in enumerate(turns):
        assert any(torch.equal(turned, torch.rot90(tiles, k, (2, 3))) for k in (times, -times))
    assert len({turned.numpy().tobytes() for turned in turns}) == 4


def test_crop_magnifies_a_corner(tiles):
    """The corner pixel of the crop is near the tile's own corner, and nothing from outside comes in."""
    plain = torch.zeros((1, 3, 16, 16), dtype=torch.uint8)
    plain[..., :8, :8] = 200
    corner = applied(plain, d3=1.0, d4=0.0, d5=0.0)
    assert (corner == 200).sum() > (plain == 200).sum()
    assert corner[0, 0, 0, 0] == 200 and corner[0, 0, -1, -1] == 0


def test_light_blur_and_noise(tiles):
    def spread(images):
        return images.float().std()

    assert applied(tiles, d6=1.0).float().mean() > tiles.float().mean() + 15
    assert applied(tiles, d6=0.0).float().mean() < tiles.float().mean() - 15
    assert spread(applied(tiles, d7=0.0)) < spread(tiles) * 0.85
    assert spread(applied(tiles, d8=1.0)) < spread(tiles) * 0.6
    flat = torch.full((2, 3, 64, 64), 128, dtype=torch.uint8)
    assert spread(applied(flat, d9=1.0)) == pytest.approx(0.03 * 255, rel=0.05)


def test_real_tiles_are_treated_alike_in_every_arm():
    few, many = draw(30, 7, 2), draw(90, 7, 2)
    assert torch.equal(few, many[:30])
    kept = order(many)
    assert torch.equal(kept[kept < 30], order(few))
    assert not torch.equal(few, draw(30, 7, 3)) and not torch.equal(few, draw(30, 8, 2))
