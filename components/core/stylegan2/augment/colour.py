"""The colour transforms as one affine map per sample (ADA, appendix B.3)."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from components.core.stylegan2.augment.draws import Draws

_LUMA = torch.full((3, 3), 1 / 3, dtype=torch.float64)  # v vᵀ, projects onto the grey axis v = (1, 1, 1) / √3


def colour_map(draws: Draws, strengths: Mapping[str, float], channels: int) -> Tensor:
    """Maps [N, C, C + 1] for C = 3 or 1 channels, the last column the shift; float64.

    Each transform is applied after those before it: M ← T · M. Hue and saturation leave grey images as they are.
    """
    shift = draws.normal("brightness") * strengths["brightness"]
    contrast = torch.exp2(draws.normal("contrast") * strengths["contrast"])[:, None, None]
    flip = (2 * draws.uniform("lumaflip", identity=0)).floor()[:, None, None]
    unit = torch.eye(3, dtype=torch.float64)
    linear = (unit - 2 * _LUMA * flip) * contrast  # [N, 3, 3]
    if channels == 3:
        linear = _hue((2 * draws.uniform("hue", identity=0.5) - 1) * (math.pi * strengths["hue"])) @ linear
        saturation = torch.exp2(draws.normal("saturation") * strengths["saturation"])[:, None, None]
        linear = (_LUMA + (unit - _LUMA) * saturation) @ linear
    # Brightness is first: it shifts all channels alike, and what follows is applied to the shift.
    colour = torch.cat([linear, linear.sum(dim=2, keepdim=True) * shift[:, None, None]], dim=2)  # [N, 3, 4]
    return colour if channels == 3 else _grey(colour)


def apply_colour(img: Tensor, colour: Tensor) -> Tensor:
    """Applies maps [N, C, C + 1] to images [N, C, H, W], without a matrix product, which may run in TF32."""
    result = colour[:, :, -1, None, None]  # [N, C, 1, 1]
    for channel in range(img.shape[1]):
        result = torch.addcmul(result, img[:, channel, None], colour[:, :, channel, None, None])
    return result


def _hue(angle: Tensor) -> Tensor:
    """Rotations about v (Rodrigues' formula)."""
    cross = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64) / math.sqrt(3)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return cos * torch.eye(3, dtype=torch.float64) + sin * cross + (1 - cos) * _LUMA


def _grey(colour: Tensor) -> Tensor:
    """The effect of the map on grey, averaged over the channels: [N, 3, 4] to [N, 1, 2]."""
    mean = colour.mean(dim=1, keepdim=True)  # [N, 1, 4]
    return torch.cat([mean[:, :, :3].sum(dim=2, keepdim=True), mean[:, :, 3:]], dim=2)
