"""Augmentation of training tiles after Böhland et al. 2021, in batches on the training's device.

Libraries draw once per batch, or from the global generator. Here each tile has draws of its own, from (seed, epoch) and
its row in the training set. Real tiles come first in every arm, so they have the same order, the same references and
the same augmentation in every arm.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from kornia.enhance import equalize_clahe
from kornia.filters import gaussian_blur2d

from components.core.stain.augmentation import perturb_stain
from components.core.stain.normalization import StainFit

SMALLEST_CROP = 0.75  # of the tile's side
FOURIER_SHARE, LARGEST_BAND = 0.5, 0.05  # of the tiles; of the sampling rate, on either side of 0
CLAHE_SHARE, CLAHE_CLIP, CLAHE_CELLS = 0.25, 4.0, 8  # of the tiles; the others change in brightness and contrast
BRIGHTNESS, CONTRAST = 0.10, 0.20  # of the full range; of the tile's own contrast
BLUR_SHARE, BLUR_SIGMA = 0.5, 1.0  # pixels
NOISE_SHARE, NOISE = 0.5, 0.03  # largest standard deviation, of the full range

_ORDER = 0
_GEOMETRY = slice(1, 6)  # flip, quarter turns, crop, shift x, shift y
_FOURIER, _REFERENCE = 6, 7
_CLAHE = 8
_LIGHT = slice(9, 11)
_BLUR, _NOISE = 11, 12
_STAIN = slice(13, 17)
SQUARE = slice(17, 19)  # position of the square that is cut from a field, before anything else
_DRAWS = 19

_FEWEST_CELL_PX = 8
_LUMA = (0.299, 0.587, 0.114)


def augmentation_draws(count: int, seed: int, epoch: int) -> torch.Tensor:
    """Uniform draws [count, 19] of one epoch, 0..1, on the CPU; a longer training set has the same first rows."""
    return torch.from_numpy(np.random.default_rng((seed, epoch)).random((count, _DRAWS), dtype=np.float32))


def tile_order(draws: torch.Tensor) -> torch.Tensor:
    """The epoch's order of tiles, row indices [N]."""
    return draws[:, _ORDER].argsort(stable=True)


def augment(
    tiles: torch.Tensor,
    draws: torch.Tensor,
    references: torch.Tensor,
    generator: torch.Generator,
    stain: StainFit | None,
) -> torch.Tensor:
    """Flip, quarter turn, crop, Fourier domain adaptation, stain, CLAHE or brightness and contrast, blur, noise.

    Args:
        tiles: Tiles [N, 3, H, W] uint8.
        draws: Rows of `augmentation_draws` [N, 19].
        references: Real tiles of training patients [R, 3, H, W] uint8, for the Fourier domain adaptation.
        generator: Generator of the noise, on the tiles' device.
        stain: Fit along whose stains tiles are perturbed; None = they are not.

    Returns:
        Tiles of the same shape, uint8.
    """
    on_device = draws.to(tiles.device)
    changed = _apply_geometry(tiles.float(), on_device[:, _GEOMETRY])  # [N, 3, H, W], 0..255
    # the tiles of an expensive step are selected on the CPU: a GPU need not wait for the answer
    if len(subset := _select(draws[:, _FOURIER], FOURIER_SHARE)):
        band = LARGEST_BAND * (1 - on_device[subset, _FOURIER] / FOURIER_SHARE)
        partners = (draws[subset, _REFERENCE] * len(references)).long().clamp(max=len(references) - 1)
        changed[subset] = adapt_fourier(changed[subset], references[partners.to(references.device)].float(), band)
    if stain is not None:
        changed = perturb_stain(stain, changed, on_device[:, _STAIN])
    light = draws[:, _CLAHE] >= CLAHE_SHARE
    brightness, contrast = (2 * on_device[:, _LIGHT] - 1).mul(light[:, None].to(tiles.device)).unbind(1)
    changed = _change_light(changed, brightness, contrast)
    if len(subset := _select(draws[:, _CLAHE], CLAHE_SHARE)):
        strength = 1 - on_device[subset, _CLAHE] / CLAHE_SHARE
        changed[subset] = _equalise(changed[subset], strength)
    if len(subset := _select(draws[:, _BLUR], BLUR_SHARE)):
        strength = _per_tile(1 - on_device[subset, _BLUR] / BLUR_SHARE)
        sharp = changed[subset].contiguous(memory_format=torch.channels_last)  # eight times as fast on a CPU
        changed[subset] = sharp.lerp(gaussian_blur2d(sharp, (5, 5), (BLUR_SIGMA, BLUR_SIGMA)), strength)
    deviation = 255 * NOISE * _per_tile((1 - on_device[:, _NOISE] / NOISE_SHARE).clamp(min=0))
    noise = torch.randn(changed.shape, generator=generator, device=changed.device)
    return (changed + deviation * noise).round().clamp(0, 255).to(torch.uint8)


def adapt_fourier(tiles: torch.Tensor, references: torch.Tensor, band: torch.Tensor) -> torch.Tensor:
    """Fourier domain adaptation (Yang and Soatto 2020, equation 5): the references' low-frequency amplitudes.

    Args:
        tiles: Tiles [N, 3, H, W] float, 0..255.
        references: Tiles of the same shape.
        band: Highest replaced frequency of each tile [N], 0..0.5 of the sampling rate; 0 replaces the mean only.
    """
    height, width = tiles.shape[-2:]
    spectrum, reference = torch.fft.rfft2(tiles), torch.fft.rfft2(references)  # [N, 3, H, W // 2 + 1]
    rows = torch.fft.fftfreq(height, device=tiles.device).abs()[:, None]
    columns = torch.fft.rfftfreq(width, device=tiles.device)[None]
    low = torch.maximum(rows, columns) <= band[:, None, None]  # [N, H, W // 2 + 1]
    ratio = torch.where(low[:, None], reference.abs() / spectrum.abs().clamp(min=1e-9), 1.0)
    adapted: torch.Tensor = torch.fft.irfft2(spectrum * ratio, s=(height, width))
    return adapted.clamp(0, 255)


def _apply_geometry(tiles: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Flip, quarter turn and crop as one resampling [N, 3, H, W]."""
    flip, turn, crop, *shift = draws.unbind(1)
    side = 1 - (1 - SMALLEST_CROP) * crop
    angle = (4 * turn).floor() * (math.pi / 2)
    mirror = torch.where(flip < 0.5, -1.0, 1.0)
    x, y = ((2 * value - 1) * (1 - side) for value in shift)  # the crop stays inside the tile
    cos, sin = side * angle.cos(), side * angle.sin()
    theta = torch.stack([mirror * cos, -sin, x, mirror * sin, cos, y], dim=1).reshape(-1, 2, 3)
    grid = F.affine_grid(theta, list(tiles.shape), align_corners=False)
    return F.grid_sample(tiles, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _change_light(tiles: torch.Tensor, brightness: torch.Tensor, contrast: torch.Tensor) -> torch.Tensor:
    """Brightness and contrast about the tile's mean; both -1..1, [N]."""
    mean = tiles.mean(dim=(1, 2, 3), keepdim=True)
    changed = (tiles - mean) * (1 + CONTRAST * _per_tile(contrast)) + mean + 255 * BRIGHTNESS * _per_tile(brightness)
    return changed.clamp(0, 255)


def _equalise(tiles: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    """Contrast-limited adaptive histogram equalisation of the luma; colour differences stay; strength 0..1, [N]."""
    weights = torch.tensor(_LUMA, device=tiles.device).view(1, 3, 1, 1)
    luma = (tiles * weights).sum(dim=1, keepdim=True) / 255  # [N, 1, H, W]
    cells = max(2, min(CLAHE_CELLS, tiles.shape[-1] // _FEWEST_CELL_PX))
    equal = equalize_clahe(luma.clamp(0, 1), CLAHE_CLIP, (cells, cells))
    return (tiles + 255 * _per_tile(strength) * (equal - luma)).clamp(0, 255)


def _select(draws: torch.Tensor, share: float) -> torch.Tensor:
    return torch.nonzero(draws < share).flatten()


def _per_tile(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None, None]
