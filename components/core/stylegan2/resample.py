"""Resampling with a FIR filter: insert zeros, pad, filter, take every n-th sample.

Written so that PyTorch's own convolutions do it, on every device.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = (1, 3, 3, 1)
_SEPARABLE_FROM = 8  # taps; a shorter filter is faster as one 2-D kernel

Factor = int | tuple[int, int]  # one for both axes, or (x, y)
_Pair = tuple[int, int]  # (y, x), as PyTorch has it
_Padding = tuple[int, int, int, int]


def fir_filter(taps: Sequence[float] = TAPS) -> Tensor:
    """A filter normalised to sum 1: 1-D and separable from 8 taps on, else the outer product [f, f]."""
    kernel = torch.tensor(taps, dtype=torch.float32)
    kernel = kernel / kernel.sum()
    return kernel if len(taps) >= _SEPARABLE_FROM else torch.outer(kernel, kernel)


def upfirdn2d(
    x: Tensor,
    kernel: Tensor,
    *,
    up: Factor = 1,
    down: Factor = 1,
    padding: Sequence[int] = (0, 0, 0, 0),
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Upsamples with zeros, pads, convolves and subsamples each channel.

    It has derivatives of any order in the images, and none in the kernel.

    Args:
        x: Images [N, C, H, W].
        kernel: Separable filter [f], or 2-D filter [fh, fw].
        up: Upsampling factor: up - 1 zeros follow each sample.
        down: Downsampling factor: every down-th sample stays, from the first on.
        padding: Upsampled samples added before and after x, before and after y; negative = cropped.
        flip_filter: True = correlation in place of convolution.
        gain: Factor of the 2-D kernel.
    """
    (up_x, up_y), (down_x, down_y) = _pair(up), _pair(down)
    x0, x1, y0, y1 = padding
    if kernel.ndim == 1:
        axis_gain = gain**0.5
        x = _filter(x, kernel[None, :] * axis_gain, (1, up_x), (1, down_x), (x0, x1, 0, 0), flip_filter)
        return _filter(x, kernel[:, None] * axis_gain, (up_y, 1), (down_y, 1), (0, 0, y0, y1), flip_filter)
    return _filter(x, kernel * gain, (up_y, up_x), (down_y, down_x), (x0, x1, y0, y1), flip_filter)


def filter2d(x: Tensor, kernel: Tensor, *, padding: int = 0, flip_filter: bool = False, gain: float = 1.0) -> Tensor:
    """Filters at the same size."""
    pads = _around(kernel, lambda f: (f // 2, (f - 1) // 2), padding)
    return upfirdn2d(x, kernel, padding=pads, flip_filter=flip_filter, gain=gain)


def upsample2d(
    x: Tensor, kernel: Tensor, up: int = 2, *, padding: int = 0, flip_filter: bool = False, gain: float = 1.0
) -> Tensor:
    """Enlarges by a whole factor."""
    pads = _around(kernel, lambda f: ((f + up - 1) // 2, (f - up) // 2), padding)
    return upfirdn2d(x, kernel, up=up, padding=pads, flip_filter=flip_filter, gain=gain * up * up)


def downsample2d(
    x: Tensor, kernel: Tensor, down: int = 2, *, padding: int = 0, flip_filter: bool = False, gain: float = 1.0
) -> Tensor:
    """Shrinks by a whole factor."""
    pads = _around(kernel, lambda f: ((f - down + 1) // 2, (f - down) // 2), padding)
    return upfirdn2d(x, kernel, down=down, padding=pads, flip_filter=flip_filter, gain=gain)


def _filter(x: Tensor, kernel: Tensor, up: _Pair, down: _Pair, padding: _Padding, flip_filter: bool) -> Tensor:
    # Inside torch.func.grad a compiler makes `_Filter` constant; and it drops unused gradients by itself.
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return _convolve(x, kernel, up, down, padding, flip_filter)
    return cast(Tensor, _Filter.apply(x, kernel, up, down, padding, flip_filter))


class _Filter(torch.autograd.Function):
    """The filter as an operation whose derivative is a filter again.

    A convolution would keep its input for the kernel's gradient, and its second derivative would compute that gradient
    channel by channel, needed or not.
    """

    @staticmethod
    def forward(x: Tensor, kernel: Tensor, up: _Pair, down: _Pair, padding: _Padding, flip_filter: bool) -> Tensor:
        return _convolve(x, kernel, up, down, padding, flip_filter)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, kernel, up, down, (x0, _, y0, _), flip_filter = inputs
        (fh, fw), (height, width), (out_height, out_width) = kernel.shape, x.shape[2:], output.shape[2:]
        ctx.save_for_backward(kernel)
        ctx.adjoint = (
            down,
            up,
            (
                fw - x0 - 1,
                width * up[1] - out_width * down[1] + x0 - up[1] + 1,
                fh - y0 - 1,
                height * up[0] - out_height * down[0] + y0 - up[0] + 1,
            ),
            not flip_filter,
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (kernel,) = ctx.saved_tensors
        return _filter(gradients[0], kernel, *ctx.adjoint), None, None, None, None, None


def _convolve(x: Tensor, kernel: Tensor, up: _Pair, down: _Pair, padding: _Padding, flip_filter: bool) -> Tensor:
    channels = x.shape[1]
    fh, fw = kernel.shape
    x0, x1, y0, y1 = padding
    if up == (1, 1):
        weight = kernel if flip_filter else kernel.flip(0, 1)  # conv2d correlates
        weight = weight.to(x.dtype).expand(channels, 1, fh, fw)
        if x0 == x1 >= 0 and y0 == y1 >= 0:  # the convolution's own padding saves a copy
            return F.conv2d(x, weight, stride=down, padding=(y0, x0), groups=channels)
        return F.conv2d(F.pad(x, [x0, x1, y0, y1]), weight, stride=down, groups=channels)
    weight = kernel.flip(0, 1) if flip_filter else kernel  # a transposed convolution convolves
    weight = weight.to(x.dtype).expand(channels, 1, fh, fw)
    # The transposed convolution is the full one, without the last sample's zeros; pad or crop to the requested size.
    x = F.conv_transpose2d(x, weight, stride=up, groups=channels)
    x = F.pad(x, [x0 - fw + 1, x1 - fw + up[1], y0 - fh + 1, y1 - fh + up[0]])
    return x if down == (1, 1) else x[:, :, :: down[0], :: down[1]]


def _pair(factor: Factor) -> tuple[int, int]:
    return (factor, factor) if isinstance(factor, int) else (factor[0], factor[1])


def _around(kernel: Tensor, pads_of: Callable[[int], tuple[int, int]], padding: int) -> _Padding:
    (x0, x1), (y0, y1) = pads_of(kernel.shape[-1]), pads_of(kernel.shape[0])
    return x0 + padding, x1 + padding, y0 + padding, y1 + padding
