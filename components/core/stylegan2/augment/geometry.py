"""The geometric transforms as one affine map per sample (ADA, appendix B.1 and B.2)."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from components.core.stylegan2.augment.draws import Draws


def rotation_chance(probability: float) -> float:
    """Probability of each rotation, before and after stretching, at which either happens with `probability`."""
    return 1 - math.sqrt(min(max(1 - probability, 0.0), 1.0))


def inverse_map(draws: Draws, strengths: Mapping[str, float], height: int, width: int) -> tuple[Tensor, Tensor]:
    """The map from pixels of the result to pixels of the image, the origin in the centre, x before y.

    Each transform T appends its inverse: G ← G · T⁻¹.

    Returns:
        Linear part [N, 2, 2] and shift in pixels [N, 2], float64.
    """
    size = torch.tensor([width, height], dtype=torch.float64)
    flip = 1 - 2 * (2 * draws.uniform("xflip", identity=0)).floor()
    linear = torch.diag_embed(torch.stack([flip, torch.ones_like(flip)], dim=1))  # [N, 2, 2]
    linear = linear @ _rotation((4 * draws.uniform("rotate90", identity=0)).floor() * (math.pi / 2))
    shift = (2 * draws.uniform("xint", identity=0.5, count=2) - 1) * strengths["xint"]
    offset = _apply(linear, -(shift * size).round())
    linear = linear * _power(-draws.normal("scale"), strengths["scale"])[:, None, None]
    linear = linear @ _rotation(_angle(draws.uniform("prerotation", identity=0.5), strengths["rotate"]))
    stretch = _power(draws.normal("aniso"), strengths["aniso"])
    linear = linear * torch.stack([1 / stretch, stretch], dim=1)[:, None]
    linear = linear @ _rotation(_angle(draws.uniform("postrotation", identity=0.5), strengths["rotate"]))
    shift = draws.normal("xfrac", count=2) * strengths["xfrac"]
    return linear, offset + _apply(linear, -shift * size)


def _rotation(angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)


def _angle(u: Tensor, half_turns: float) -> Tensor:
    return (2 * u - 1) * (math.pi * half_turns)


def _power(n: Tensor, deviation: float) -> Tensor:
    return torch.exp2(n * deviation)


def _apply(linear: Tensor, vector: Tensor) -> Tensor:
    return (linear @ vector[:, :, None])[:, :, 0]
