"""Augmentation of training tiles, on the batch and the device where they lie.

torchvision's transforms draw once per batch and from the global generator. Here each tile has its own draws, made from
(seed, epoch) and its place in the training set. Real tiles come first in every arm, so they get the same order and the
same augmentation in every arm.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.transforms.v2.functional import gaussian_blur

from components.core.classifier.stain import Stain, vary

SMALLEST_CROP = 0.75  # of the tile's side
BRIGHTNESS, CONTRAST = 0.10, 0.20  # of the full range; of the tile's own contrast
NOISE = 0.03  # largest standard deviation, of the full range

_ORDER = 0
_GEOMETRY = slice(1, 6)  # flip, quarter turns, crop, shift x, shift y
_LIGHT = slice(6, 8)
_BLUR, _NOISE = 8, 9
_STAIN = slice(10, 14)
_DRAWS = 14


def draw(count: int, seed: int, epoch: int) -> torch.Tensor:
    """Uniform draws [count, 14] of one epoch; a longer training set has the same first rows."""
    return torch.from_numpy(np.random.default_rng((seed, epoch)).random((count, _DRAWS), dtype=np.float32))


def order(draws: torch.Tensor) -> torch.Tensor:
    """The epoch's order of tiles."""
    return draws[:, _ORDER].argsort(stable=True)


def augment(tiles: torch.Tensor, draws: torch.Tensor, generator: torch.Generator, stain: Stain | None) -> torch.Tensor:
    """Flip, quarter turn, crop, stain (where one is fitted), brightness and contrast, blur, noise.

    Args:
        tiles: [N, 3, H, W] uint8.
        draws: [N, 14], rows of `draw`, on the tiles' device.
        generator: Of the noise, on the tiles' device.
        stain: A fit to vary stains along; None leaves them.

    Returns:
        Tiles of the same shape, uint8.
    """
    changed = _moved(tiles.float(), draws[:, _GEOMETRY])  # [N, 3, H, W], 0..255
    if stain is not None:
        changed = vary(stain, changed, draws[:, _STAIN])
    brightness, contrast = ((2 * draws[:, _LIGHT] - 1)[..., None, None, None]).unbind(1)  # [N, 1, 1, 1] each
    mean = changed.mean(dim=(1, 2, 3), keepdim=True)
    changed = (changed - mean) * (1 + CONTRAST * contrast) + mean + 255 * BRIGHTNESS * brightness
    blur = (2 * draws[:, _BLUR] - 1).clamp(min=0)[:, None, None, None]  # none for half of the tiles
    changed = changed.lerp(gaussian_blur(changed, [5, 5], [1.0, 1.0]), blur)
    deviation = (2 * draws[:, _NOISE] - 1).clamp(min=0)[:, None, None, None] * NOISE * 255
    noise = torch.randn(changed.shape, generator=generator, device=changed.device)
    return (changed + deviation * noise).round().clamp(0, 255).to(torch.uint8)


def _moved(tiles: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Flip, quarter turn and crop as one resampling [N, 3, H, W]."""
    flip, turn, crop, *shift = draws.unbind(1)
    side = 1 - (1 - SMALLEST_CROP) * crop
    angle = (4 * turn).floor() * (math.pi / 2)
    mirror = torch.where(flip < 0.5, -1.0, 1.0)
    x, y = ((2 * one - 1) * (1 - side) for one in shift)  # the crop stays inside the tile
    cos, sin = side * angle.cos(), side * angle.sin()
    theta = torch.stack([mirror * cos, -sin, x, mirror * sin, cos, y], dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(theta, list(tiles.shape), align_corners=False)
    return F.grid_sample(tiles, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
