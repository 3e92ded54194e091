"""Stain augmentation: random concentrations of the two stains that a fit found."""

import torch

from components.core.stain.macenko import LIGHT, TISSUE_OD
from components.core.stain.normalization import StainFit


def perturb_stain(stain: StainFit, tiles: torch.Tensor, draws: torch.Tensor, spread: float = 0.2) -> torch.Tensor:
    """Perturbs each tile's stain concentrations: factor in 1 ± spread, offset in ± spread / 2 of the stain's strength.

    The part of a pixel's optical density that the two stains do not explain is kept, and background is not stained.
    torchstain's augmentor draws from numpy's global generator and fits the stains of each tile, so it is not used.

    Args:
        stain: A fit with use "augment".
        tiles: Tiles [N, 3, H, W] float, 0..255.
        draws: Uniform draws [N, 4] in 0..1: factors of both stains, offsets of both.
        spread: Largest relative change, 0..1.

    Returns:
        Tiles of the same shape, float, 0..255.
    """
    vectors = torch.tensor(stain.parameters["vectors"], dtype=tiles.dtype, device=tiles.device)  # [3, 2]
    strengths = torch.tensor(stain.parameters["strengths"], dtype=tiles.dtype, device=tiles.device)  # [2]
    density = -torch.log((tiles.flatten(2) + 1) / LIGHT)  # [N, 3, HW]
    concentrations = torch.linalg.pinv(vectors) @ density  # [N, 2, HW]
    change = (2 * draws - 1) * spread  # [N, 4]
    offset = (change[:, 2:] * strengths / 2)[..., None]
    stained = (density > TISSUE_OD).all(dim=1, keepdim=True)  # [N, 1, HW]
    moved = vectors @ ((change[:, :2, None] * concentrations + offset) * stained)  # [N, 3, HW]
    return (LIGHT * torch.exp(-(density + moved)) - 1).reshape(tiles.shape).clamp(0, 255)
