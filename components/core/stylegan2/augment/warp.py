"""Geometric transforms without aliasing: upsample by 2, sample, downsample (ADA, appendix B.2).

Images are extended by reflection. The margins follow from the maps on the CPU, before any pixel is read, so that no
device is waited for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.stylegan2.resample import upfirdn2d

# Low-pass decomposition filter of the wavelet sym6 (Daubechies 1992; numbers as in PyWavelets).
SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
_PAD = len(SYM6) // 4  # pixels around the result that downsampling reads

Margins = tuple[int, int, int, int]  # pixels: x before, x after, y before, y after


@dataclass(frozen=True)
class Warp:
    """The maps of one batch.

    Attributes:
        theta: Maps [N, 2, 3] from upsampled pixels of the result, with the origin in the centre, to `sample`'s units.
        margins: Pixels by which all images are extended.
    """

    theta: Tensor
    margins: Margins

    def to(self, img: Tensor) -> "Warp":
        """The warp on the device and in the dtype of `img`, without waiting."""
        return replace(self, theta=self.theta.to(img, non_blocking=True))


def plan_warp(linear: Tensor, offset: Tensor, height: int, width: int, *, multiple: int = 1) -> Warp:
    """The warp for maps of pixels.

    Args:
        linear: Linear parts [N, 2, 2].
        offset: Shifts [N, 2], pixels.
        height: Height of the images, pixels.
        width: Width of the images, pixels.
        multiple: Multiple of the margins, pixels.
    """
    sizes = torch.tensor([width, height], dtype=linear.dtype)
    corner = (sizes - 1) / 2
    reach = linear.abs() @ corner  # [N, 2]: largest distance of a corner from the centre
    needed = torch.stack([(reach - offset).amax(dim=0), (reach + offset).amax(dim=0)], dim=1)  # [2, 2]: axis, side
    needed = ((needed + (2 * _PAD - corner)[:, None]) / multiple).ceil() * multiple
    margins = needed.clamp(min=0).minimum(sizes[:, None] - 1)  # a reflection cannot be larger
    scale = 1 / (sizes + margins.sum(dim=1))  # [2]: from upsampled pixels to units in which the extended image spans 2
    centre = offset + (margins[:, 0] - margins[:, 1]) / 2
    theta = torch.cat([linear, (2 * centre - 0.5)[:, :, None]], dim=2) * scale[:, None]
    (x0, x1), (y0, y1) = margins.int().tolist()
    return Warp(theta, (x0, x1, y0, y1))


def warp(img: Tensor, plan: Warp, kernel: Tensor, sample: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Applies a warp to images [N, C, H, W], with a `sample` function of `bilinear`."""
    height, width = img.shape[2:]
    enlarge, shrink = (_enlarge_dense, _shrink_dense) if img.device.type == "cpu" else (_enlarge, _shrink)
    img = enlarge(img, plan.margins, kernel.to(img.dtype))
    img = sample(img, _grid(plan.theta, height, width))  # [N, C, 2 H + 10, 2 W + 10]
    return shrink(img, kernel.to(img.dtype))


def _grid(theta: Tensor, height: int, width: int) -> Tensor:
    """Sampling positions [N, 2 H + 10, 2 W + 10, 2] of the upsampled result and what downsampling reads around it.

    Not a matrix product, because that may run in TF32, whose error at 512 px is half a pixel.
    """
    x, y = (_pixels_after_upsampling(size, theta) for size in (width, height))
    along_x = theta[:, None, None, :, 0] * x[:, None]  # [N, 1, W', 2]
    along_y = theta[:, None, None, :, 1] * y[:, None, None] + theta[:, None, None, :, 2]  # [N, H', 1, 2]
    return along_x + along_y


def _pixels_after_upsampling(size: int, like: Tensor) -> Tensor:
    reach = size + 2 * _PAD - 1
    return torch.arange(-reach, reach, device=like.device, dtype=like.dtype) + 1


def _enlarge(img: Tensor, margins: Margins, kernel: Tensor) -> Tensor:
    img = _enlarge_rows(img, margins[:2], kernel)
    img = F.pad(img, [0, 0, *margins[2:]], mode="reflect")
    return upfirdn2d(img, kernel[:, None] * 2, up=(1, 2), padding=(0, 0, *_around(kernel)))


def _enlarge_rows(img: Tensor, margins: tuple[int, int], kernel: Tensor) -> Tensor:
    img = F.pad(img, [*margins, 0, 0], mode="reflect")  # one axis at a time, while the other is still short
    return upfirdn2d(img, kernel[None] * 2, up=(2, 1), padding=(*_around(kernel), 0, 0))


def _around(kernel: Tensor) -> tuple[int, int]:
    """The padding of `resample.upsample2d`."""
    return len(kernel) // 2, len(kernel) // 2 - 1


def _shrink(img: Tensor, kernel: Tensor) -> Tensor:
    return upfirdn2d(img, kernel, down=2, flip_filter=True)


def _shrink_rows(img: Tensor, kernel: Tensor) -> Tensor:
    return upfirdn2d(img, kernel[None], down=(2, 1), flip_filter=True)


def _enlarge_dense(img: Tensor, margins: Margins, kernel: Tensor) -> Tensor:
    """`_enlarge` as matrix products: mostly zeros, but 1.5 to 3 times as fast on a CPU from 64 to 512 px."""
    return _along_axes(
        img,
        lambda row: _enlarge_rows(row, margins[:2], kernel),
        lambda row: _enlarge_rows(row, margins[2:], kernel),
    )


def _shrink_dense(img: Tensor, kernel: Tensor) -> Tensor:
    return _along_axes(img, lambda row: _shrink_rows(row, kernel), lambda row: _shrink_rows(row, kernel))


def _along_axes(img: Tensor, along_x: Callable[[Tensor], Tensor], along_y: Callable[[Tensor], Tensor]) -> Tensor:
    """Applies two linear operations as matrices: one to the rows, the other to the columns."""
    x, y = (
        operation(torch.eye(size, dtype=img.dtype).view(size, 1, 1, size)).view(size, -1)
        for operation, size in ((along_x, img.shape[3]), (along_y, img.shape[2]))
    )
    return y.t() @ (img @ x)
