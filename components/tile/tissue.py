"""Tissue on a slide, and its share in a square."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from components.core.data.images import Pixels

Mask = npt.NDArray[np.bool_]

MIN_SATURATION, MAX_SATURATION = 8, 40  # of 255; bounds of the threshold: see tissue_mask
_MEDIAN_PX = 7


def tissue_mask(overview: Image.Image) -> Mask:
    """True where there is tissue, [H, W]: colour distinguishes it from glass.

    Saturation (HSV) above Otsu's threshold after a median filter, as in CLAM (Lu et al., Nature Biomedical Engineering
    2021). Otsu's threshold divides any image in two, so it is bounded: a slide of glass alone has no tissue, and on a
    slide of tissue alone the paler tissue is still tissue.

    Args:
        overview: RGB image of the slide.
    """
    saturation = np.asarray(overview.convert("HSV").getchannel("S").filter(ImageFilter.MedianFilter(_MEDIAN_PX)))
    mask: Mask = saturation > np.clip(otsu_threshold(saturation), MIN_SATURATION, MAX_SATURATION)
    return mask


def otsu_threshold(values: Pixels) -> int:
    """The threshold that divides 8-bit values into two classes of the greatest variance between them.

    Values up to it are the lower class: Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979), eq. 18.
    """
    p = np.bincount(values.ravel(), minlength=256) / values.size
    omega, mu = p.cumsum(), (p * np.arange(256)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mu[-1] * omega - mu) ** 2 / (omega * (1 - omega))
    return int(np.nanargmax(np.where(np.isfinite(between), between, -1)))


def tissue_shares(mask: Mask, squares: npt.NDArray[np.float64], side: float) -> npt.NDArray[np.float64]:
    """Share of tissue in each square.

    Args:
        mask: True where there is tissue, [H, W].
        squares: Left and top edges [n, 2] in pixels of the mask.
        side: Side of the squares, pixels of the mask.

    Returns:
        Shares [n], 0..1.
    """
    sums = np.pad(mask.cumsum(0).cumsum(1), ((1, 0), (1, 0)))  # [H + 1, W + 1], sums of all above and to the left
    height, width = mask.shape
    left, top = np.clip(np.floor(squares).astype(int), 0, (width - 1, height - 1)).T
    right, bottom = np.clip(np.ceil(squares + side).astype(int), 1, (width, height)).T
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    shares: npt.NDArray[np.float64] = inside / ((right - left) * (bottom - top))
    return shares
