"""Stain fits and what they do, on images mixed from known stains, and on real tissue where it is there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from stained_tiles import EOSIN, HAEMATOXYLIN, stained
from torchstain.numpy.normalizers.macenko import NumpyMacenkoNormalizer

from components.core.stain.normalization import AUGMENT, MACENKO, NORMALISE, REINHARD, fit_stain, normalise

REAL = Path(__file__).parents[4] / "shared" / "data" / "glas_small" / "images"


def colour(tiles):
    return tiles.float().mean(dim=(0, 2, 3))


def test_fit_is_torchstains_on_the_pooled_pixels():
    tiles = stained(0, 12)
    fitted = fit_stain(tiles, NORMALISE, 0)
    peer = NumpyMacenkoNormalizer()
    peer.fit(np.concatenate(list(tiles.permute(0, 2, 3, 1).numpy()), axis=0))
    assert fitted.method == MACENKO and fitted.note == ""
    np.testing.assert_allclose(fitted.parameters["vectors"], peer.HERef, rtol=1e-9)
    np.testing.assert_allclose(fitted.parameters["strengths"], peer.maxCRef, rtol=1e-9)


def test_fit_finds_the_stains_that_were_mixed():
    vectors = np.array(fit_stain(stained(0, 40), NORMALISE, 0).parameters["vectors"])
    for found, true in zip(vectors.T, (HAEMATOXYLIN, EOSIN), strict=True):
        assert found @ (true / np.linalg.norm(true)) > 0.97


@pytest.mark.parametrize("side", [32, 64])
def test_normalising_another_stain_brings_it_home(side):
    """The same tissue, stained elsewhere and weaker, comes closer to what it looks like at home."""
    home = stained(1, 16, side=side)
    fitted = fit_stain(stained(2, 16, side=side), NORMALISE, 0)
    away = stained(1, 16, np.array([0.55, 0.75, 0.40]), np.array([0.20, 0.90, 0.35]), 0.6, side=side)
    back, untouched = normalise(fitted, away, ["away.png"] * 16)
    assert untouched == 0 and back.shape == away.shape and back.dtype == torch.uint8
    assert (back.float() - home.float()).abs().mean() < 0.35 * (away.float() - home.float()).abs().mean()
    stays, _ = normalise(fitted, home, ["home.png"] * 16)
    assert (stays.float() - home.float()).abs().mean() < 6


def test_tiles_are_normalised_with_their_source_and_with_no_other():
    fitted = fit_stain(stained(2, 8), NORMALISE, 0)
    first, second = stained(3, 4), stained(4, 4, strength=0.5)
    together, _ = normalise(fitted, torch.stack([*first, *second])[[0, 4, 1, 5, 2, 6, 3, 7]], ["a", "b"] * 4)
    assert torch.equal(together[::2], normalise(fitted, first, ["a"] * 4)[0])
    assert torch.equal(together[1::2], normalise(fitted, second, ["b"] * 4)[0])


def test_background_keeps_its_colour_and_is_counted():
    fitted = fit_stain(stained(2, 8), NORMALISE, 0)
    glass = torch.full((3, 3, 32, 32), 245, dtype=torch.uint8)
    tiles = torch.cat([glass, stained(5, 2)])
    result, untouched = normalise(fitted, tiles, ["glass"] * 3 + ["tissue"] * 2)
    assert untouched == 3 and torch.equal(result[:3], glass) and not torch.equal(result[3:], tiles[3:])
    empty, none = normalise(fitted, tiles[:0], [])
    assert empty.shape == (0, 3, 32, 32) and none == 0


def test_without_two_stains_it_falls_back_and_says_so():
    grey = torch.randint(90, 160, (6, 1, 32, 32), generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
    grey = grey.to(torch.uint8).contiguous()
    fallback = fit_stain(grey, NORMALISE, 0)
    assert fallback.method == REINHARD and "Reinhard" in fallback.note
    moved, untouched = normalise(fallback, stained(6, 4), ["a"] * 4)
    assert untouched == 0
    torch.testing.assert_close(colour(moved), colour(grey), atol=8, rtol=0)
    published = fit_stain(grey, AUGMENT, 0)
    assert published.method == MACENKO and "published" in published.note
    assert published.parameters["vectors"] == NumpyMacenkoNormalizer().HERef.tolist()


def test_real_tissue():
    if not REAL.exists():
        pytest.skip("skipped: ../shared/data/glas_small is not here")
    images = [np.array(Image.open(path).convert("RGB"))[:256, :256] for path in sorted(REAL.iterdir())[:6]]
    tiles = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    fitted = fit_stain(tiles[:3], NORMALISE, 0)
    result, untouched = normalise(fitted, tiles, [str(i) for i in range(6)])
    assert fitted.method == MACENKO and untouched == 0
    before, after = (group.float().mean(dim=(2, 3)).std(dim=0).mean() for group in (tiles, result))
    assert after < before
