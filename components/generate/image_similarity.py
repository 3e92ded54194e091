"""Distance of two tiles as images, insensitive to stain, JPEG compression, orientation and small shifts.

Features of a network barely change when another gland of the same patient comes into view, and change a lot when the
tile is shifted by less than the network's stride. The correlation of two registered images tells a copy from two
different glands.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE, TEMPLATE = 32, 24  # of a thumbnail, and of its middle, the template: allows shifts of up to an eighth of a tile
_BLUR = (0.2283, 0.5434, 0.2283)  # removes the effect of a shift by half a thumbnail's pixel
_LOCAL = 9  # side of the window whose mean is subtracted: removes light against dark halves, as tissue borders have
_MIN_VARIANCE = 0.1  # grey levels squared; below it a thumbnail has no structure to match
_MARGIN = (SIDE - TEMPLATE) // 2


def thumbnails(images: Tensor) -> Tensor:
    """Grey thumbnails [n, 1, 32, 32] of uint8 images [n, 3, H, W], blurred and without their local mean."""
    grey = images.float().mean(dim=1, keepdim=True)  # [n, 1, H, W]
    small = F.interpolate(grey, (SIDE, SIDE), mode="bilinear", antialias=True)
    kernel = small.new_tensor(_BLUR)
    kernel = (kernel[:, None] * kernel / kernel.sum() ** 2)[None, None]  # [1, 1, 3, 3]
    blurred = F.conv2d(F.pad(small, (1,) * 4, mode="replicate"), kernel)
    return blurred - F.avg_pool2d(F.pad(blurred, (_LOCAL // 2,) * 4, mode="replicate"), _LOCAL, stride=1)


def image_distances(thumbnail: Tensor, others: Tensor) -> Tensor:
    """1 - the highest correlation of a thumbnail's middle with any position in other thumbnails, over 8 orientations.

    Args:
        thumbnail: Thumbnail [1, 32, 32].
        others: Thumbnails [m, 1, 32, 32].

    Returns:
        Distances [m], 0 (the same image) to 2; about 0.6 between tiles of different locations.
    """
    middle = thumbnail[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    rotated = torch.stack([torch.rot90(side, turns, (1, 2)) for side in (middle, middle.flip(2)) for turns in range(4)])
    templates = _standardize(rotated.flatten(1))  # [8, t²]
    windows = _standardize(F.unfold(others, TEMPLATE).transpose(1, 2))  # [m, positions, t²]
    correlation = windows @ templates.T / TEMPLATE**2  # [m, positions, 8]
    return 1 - correlation.amax(dim=(1, 2))


def _standardize(patches: Tensor) -> Tensor:
    centred = patches - patches.mean(dim=-1, keepdim=True)
    return centred / centred.square().mean(dim=-1, keepdim=True).clamp(min=_MIN_VARIANCE).sqrt()
