"""Noise and cutout (ADA, appendix B.5)."""

import torch
from torch import Tensor

from components.core.stylegan2.augment.draws import Draws
from components.core.stylegan2.augment.transforms import CUTOUT, NOISE


def noise_field(draws: Draws, strength: float, img: Tensor) -> Tensor:
    """Noise to add to images [N, C, H, W], drawn on their device; its deviation is drawn per sample."""
    deviation = (draws.normal(NOISE).abs() * strength).to(img, non_blocking=True)  # [N]
    rng = torch.Generator(img.device).manual_seed(draws.source.seed())
    field = torch.randn(img.shape, generator=rng, device=img.device, dtype=img.dtype)
    return field * deviation[:, None, None, None]


def cutout_mask(draws: Draws, size: float, height: int, width: int) -> Tensor:
    """Factors [N, 1, H, W]: 0 in a square around a random centre, 1 elsewhere."""
    centre = draws.uniform(CUTOUT, identity=-1 - size, count=2)  # a centre far outside cuts out nothing
    x, y = (
        ((torch.arange(n, dtype=torch.float64) + 0.5) / n - centre[:, axis, None]).abs() < size / 2
        for axis, n in ((0, width), (1, height))
    )  # [N, W], [N, H]: True inside
    return (~(y[:, :, None] & x[:, None])).double()[:, None]
