"""How alike two tiles are as pictures, once one is laid over the other: blind to stain, to JPEG and to small shifts.

Features of a network barely change when another gland of the same patient comes into view, and change a lot when the
tile is shifted by less than its stride. Laid over each other, a copy is a copy and two glands are two glands.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE, TEMPLATE = 32, 24  # of a thumbnail and of the middle that is looked for in others: shifts to an eighth of a tile
_BLUR = (0.2283, 0.5434, 0.2283)  # what a shift by half a thumbnail's pixel changes, this takes away
_LOCAL = 9  # pixels whose mean is taken away: light against dark halves, as every border of tissue has them
_LEAST_VARIANCE = 0.1  # grey levels squared: below it there is nothing to recognise
_MARGIN = (SIDE - TEMPLATE) // 2


def thumbnails(images: Tensor) -> Tensor:
    """Grey thumbnails [n, 1, 32, 32] of uint8 images [n, 3, H, W], blurred and without their local mean."""
    grey = images.float().mean(dim=1, keepdim=True)  # [n, 1, H, W]
    small = F.interpolate(grey, (SIDE, SIDE), mode="bilinear", antialias=True)
    kernel = small.new_tensor(_BLUR)
    kernel = (kernel[:, None] * kernel / kernel.sum() ** 2)[None, None]  # [1, 1, 3, 3]
    blurred = F.conv2d(F.pad(small, (1,) * 4, mode="replicate"), kernel)
    return blurred - F.avg_pool2d(F.pad(blurred, (_LOCAL // 2,) * 4, mode="replicate"), _LOCAL, stride=1)


def distances(one: Tensor, others: Tensor) -> Tensor:
    """1 - the highest correlation of a thumbnail's middle with any place of each other one, over 8 orientations.

    Args:
        one: Thumbnail [1, 32, 32].
        others: Thumbnails [m, 1, 32, 32].

    Returns:
        Distances [m], 0 (the same picture) to 2; about 0.6 between tiles of different places.
    """
    middle = one[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    turned = torch.stack([torch.rot90(side, turns, (1, 2)) for side in (middle, middle.flip(2)) for turns in range(4)])
    templates = _standardised(turned.flatten(1))  # [8, t²]
    windows = _standardised(F.unfold(others, TEMPLATE).transpose(1, 2))  # [m, places, t²]
    correlation = windows @ templates.T / TEMPLATE**2  # [m, places, 8]
    return 1 - correlation.amax(dim=(1, 2))


def _standardised(pictures: Tensor) -> Tensor:
    centred = pictures - pictures.mean(dim=-1, keepdim=True)
    return centred / centred.square().mean(dim=-1, keepdim=True).clamp(min=_LEAST_VARIANCE).sqrt()
