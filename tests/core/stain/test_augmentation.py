"""Stain augmentation on images mixed from known stains."""

import torch
from stained_tiles import stained

from components.core.stain.augmentation import perturb_stain
from components.core.stain.normalization import AUGMENT, fit_stain


def density_change(before, after):
    """[P, 3], of the pixels that changed and were not cut off at black."""
    change = torch.log((before + 1) / (after + 1)).transpose(1, 3).reshape(-1, 3)
    change = change[(after > 0).all(dim=1).transpose(1, 2).flatten()]
    return change[change.norm(dim=1) > 1e-3]


def test_perturbation_moves_along_the_stains_and_leaves_glass():
    tiles = stained(7, 3).float()
    tiles[:, :, :4] = 250  # glass
    fit = fit_stain(stained(0, 12), AUGMENT, 0)
    neutral = torch.full((3, 4), 0.5)
    torch.testing.assert_close(perturb_stain(fit, tiles, neutral), tiles, atol=1e-3, rtol=0)
    draws = torch.rand((3, 4), generator=torch.Generator().manual_seed(0))
    perturbed = perturb_stain(fit, tiles, draws)
    assert torch.allclose(perturbed[:, :, :4], tiles[:, :, :4], atol=1e-3)
    change = density_change(tiles, perturbed)  # [P, 3]
    vectors = torch.tensor(fit.parameters["vectors"])
    normal = torch.linalg.cross(vectors[:, 0], vectors[:, 1])
    assert (change @ normal / normal.norm()).abs().max() < 1e-4  # nothing leaves the plane of the two stains
    assert len(change) > 2000 and change.norm(dim=1).mean() > 0.01


def test_only_haematoxylin_when_only_haematoxylin_is_drawn():
    fit = fit_stain(stained(0, 12), AUGMENT, 0)
    tiles = stained(8, 2).float()
    perturbed = perturb_stain(fit, tiles, torch.tensor([[1.0, 0.5, 0.5, 0.5]] * 2))
    change = density_change(tiles, perturbed)
    haematoxylin = torch.tensor(fit.parameters["vectors"])[:, 0]
    cosine = (change @ haematoxylin) / (change.norm(dim=1) * haematoxylin.norm())
    assert len(change) > 1500 and cosine.abs().min() > 0.999
