"""Random gains of frequency bands (ADA, appendix B.4)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.stylegan2.augment.draws import Draws
from components.core.stylegan2.augment.transforms import FILTER

# The low-pass filter of the wavelet sym2 convolved with its reverse, halved: the half-band filter of Deslauriers and
# Dubuc. With alternating signs it passes the upper half.
_LOW = torch.tensor([-1, 0, 9, 16, 9, 0, -1], dtype=torch.float64) / 32
_HIGH = torch.tensor([1, 0, -9, 16, -9, 0, 1], dtype=torch.float64) / 32
_BANDS = 4
_POWER = torch.tensor([10, 1, 1, 1], dtype=torch.float64) / 13  # expected power in each band of a natural image


def filter_bank() -> Tensor:
    """Band-pass filters [4, 43], the lowest band first; their sum is the unit impulse."""
    bank = torch.zeros(_BANDS, 1, dtype=torch.float64)
    bank[0] = 1
    for band in range(1, _BANDS):
        spread = bank.new_zeros(_BANDS, 2 * bank.shape[1] - 1)
        spread[:, ::2] = bank
        bank = F.conv1d(spread[:, None], _LOW[None, None], padding=len(_LOW) - 1)[:, 0]  # both are symmetric
        start = (bank.shape[1] - len(_HIGH)) // 2
        bank[band, start : start + len(_HIGH)] += _HIGH
    return bank.float()


def band_gains(draws: Draws, strength: float) -> Tensor:
    """Gain of each band [N, 4], float64; a change of one band keeps the expected power."""
    gains = torch.ones(draws.n, _BANDS, dtype=torch.float64)
    for band in range(_BANDS):
        change = torch.ones_like(gains)
        change[:, band] = torch.exp2(draws.normal(FILTER) * strength)
        gains *= change / (change.square() @ _POWER).sqrt()[:, None]
    return gains


def apply_filter(img: Tensor, taps: Tensor) -> Tensor:
    """Correlates images [N, C, H, W], extended by reflection, with one filter [N, f] each, along x, then y."""
    n, channels, height, width = img.shape
    half = taps.shape[1] // 2
    weight = taps.to(img.dtype).repeat_interleave(channels, dim=0)[:, None, None]  # [N C, 1, 1, f]
    img = img.reshape(1, n * channels, height, width)
    img = F.conv2d(F.pad(img, [half, half, 0, 0], mode="reflect"), weight, groups=n * channels)
    img = F.conv2d(F.pad(img, [0, 0, half, half], mode="reflect"), weight.mT, groups=n * channels)
    return img.reshape(n, channels, height, width)
