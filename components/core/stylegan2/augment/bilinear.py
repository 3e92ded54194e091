"""Bilinear sampling with the second derivative in the image that R1 needs.

Sampling is linear in the image: its derivative is the adjoint, which spreads each value over the four pixels it was
read from, and the adjoint's derivative is the sampling again. Older versions of PyTorch lack that second derivative;
for them there is a pair of functions that are each other's derivative. Neither has a derivative in the grid.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def sample(img: Tensor, grid: Tensor) -> Tensor:
    """Values at `grid` [N, H', W', 2], in units where the image spans [-1, 1]; zero outside: [N, C, H', W']."""
    return F.grid_sample(img, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def sample_with_adjoint(img: Tensor, grid: Tensor) -> Tensor:
    """`sample` with derivatives of any order, for a PyTorch that has only the first."""
    return _Sample.apply(img, grid)


def has_second_derivative() -> bool:
    """True where PyTorch differentiates the gradient of `sample`; the formula is the same on every device."""
    img = torch.ones(1, 1, 2, 2, requires_grad=True)
    grid = torch.tensor([[[[0.25, -0.5]]]])
    upstream = torch.ones(1, 1, 1, 1, requires_grad=True)
    try:
        (spread,) = torch.autograd.grad(sample(img, grid), img, upstream, create_graph=True)
        (again,) = torch.autograd.grad(spread.sum(), upstream)
    except RuntimeError:
        return False
    return bool(again.sum() == 1)  # the four weights of a point inside


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(img: Tensor, grid: Tensor) -> Tensor:
        return sample(img, grid)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        img, grid = inputs
        ctx.save_for_backward(grid)
        ctx.shape = img.shape

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Spread.apply(upstream, grid, ctx.shape), None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(values: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        with torch.enable_grad():
            img = values.new_zeros(shape).requires_grad_()
            (spread,) = torch.autograd.grad(sample(img, grid), img, values)
        return spread

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sample.apply(upstream, grid), None, None
