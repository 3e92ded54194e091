"""Augmentation against exact flips and turns and numpy's Fourier transform; the rows that all arms share."""

import numpy as np
import pytest
import torch

from components.classifier_cv.augmentation import adapt_fourier, augment, augmentation_draws, tile_order

# no flip, no turn, whole tile, no Fourier adaptation, no CLAHE, same light, sharp, without noise, same stain
NEUTRAL = [0.0, 0.9, 0.0, 0.0, 0.5, 0.5, 0.9, 0.0, 0.9, 0.5, 0.5, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]


def applied(tiles, references=None, **changes):
    draws = torch.tensor([NEUTRAL] * len(tiles))
    for column, value in changes.items():
        draws[:, int(column.removeprefix("d"))] = value
    return augment(tiles, draws, tiles if references is None else references, torch.Generator().manual_seed(0), None)


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

    assert applied(tiles, d9=1.0).float().mean() > tiles.float().mean() + 15
    assert applied(tiles, d9=0.0).float().mean() < tiles.float().mean() - 15
    assert spread(applied(tiles, d10=0.0)) < spread(tiles) * 0.85
    assert spread(applied(tiles, d11=0.0)) < spread(tiles) * 0.6
    flat = torch.full((2, 3, 64, 64), 128, dtype=torch.uint8)
    assert spread(applied(flat, d12=0.0)) == pytest.approx(0.03 * 255, rel=0.05)


def test_fourier_adaptation_is_numpys(tiles):
    """Amplitudes of the references below the band, the tile's own above it, every phase the tile's."""
    moderate = tiles.float() / 4 + 96  # nothing is cut off at black or white
    references = moderate.flip(0)
    got = adapt_fourier(moderate, references, torch.full((5,), 0.2)).numpy()
    spectrum, reference = np.fft.fft2(moderate.numpy()), np.fft.fft2(references.numpy())
    frequency = np.abs(np.fft.fftfreq(16))
    low = np.maximum(frequency[:, None], frequency[None]) <= 0.2
    mixed = np.where(low, np.abs(reference), np.abs(spectrum)) * np.exp(1j * np.angle(spectrum))
    np.testing.assert_allclose(got, np.fft.ifft2(mixed).real.clip(0, 255), atol=1e-2)


def test_fourier_adaptation_takes_the_colour_of_a_reference(tiles):
    references = torch.zeros_like(tiles[:1])
    references[:, 0] = 200
    changed = applied(tiles, references, d6=0.0)
    mean = changed.float().mean(dim=(0, 2, 3))
    assert mean[0] > 150 and mean[1] < 60 and mean[2] < 60
    assert torch.equal(applied(tiles, references), tiles)


def test_equalising_brings_out_what_is_faint():
    faint = torch.randint(120, 137, (1, 1, 256, 256), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    faint = faint.repeat(1, 3, 1, 1)
    faint[:, 0] += 40  # a colour difference, which stays
    equal = applied(faint, d8=0.0).float()
    assert equal[0, 1].std() > 2 * faint[0, 1].float().std()
    inside = (equal > 0).all(dim=1) & (equal < 255).all(dim=1)
    assert ((equal[:, 0] - equal[:, 1])[inside] - 40).abs().max() <= 1


def test_real_tiles_are_augmented_alike_in_every_arm():
    few, many = augmentation_draws(30, 7, 2), augmentation_draws(90, 7, 2)
    assert torch.equal(few, many[:30])
    rows = tile_order(many)
    assert torch.equal(rows[rows < 30], tile_order(few))
    assert not torch.equal(few, augmentation_draws(30, 7, 3))
    assert not torch.equal(few, augmentation_draws(30, 8, 2))
