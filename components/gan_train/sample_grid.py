"""Grids of images for the eye: one class per row, the same latents from snapshot to snapshot."""

import numpy as np
import torch
from torch import Tensor

from components.core.data.archive import Pixels
from components.core.stylegan2 import Generator
from components.core.stylegan2.sampling import latents, one_hot
from components.gan_train.dataset import Tiles

_WIDTH_PX, _FEWEST, _MOST = 512, 8, 16
_ROWS_AT_LEAST = 4


class SampleGrid:
    """Which classes and latents a training's grids show.

    Attributes:
        columns: Images per row.
        classes: Class of each image, row by row.
    """

    def __init__(self, resolution: int, c_dim: int) -> None:
        self.columns = min(max(_WIDTH_PX // resolution, _FEWEST), _MOST)
        kinds = max(c_dim, 1)
        rows_each = -(-_ROWS_AT_LEAST // kinds)
        self.classes = np.repeat(np.arange(kinds), rows_each * self.columns)

    @torch.no_grad()
    def fakes(self, G_ema: Generator, device: torch.device, batch: int) -> Pixels:
        """The grid's latents through the averaged generator, with the stored noise."""
        z = torch.from_numpy(latents(range(len(self.classes)), G_ema.z_dim)).float()
        c = one_hot(self.classes.tolist(), G_ema.c_dim)
        parts = [
            G_ema(z[start : start + batch].to(device), c[start : start + batch].to(device), noise_mode="const").cpu()
            for start in range(0, len(z), batch)
        ]
        return self._mosaic(torch.cat(parts))

    def reals(self, tiles: Tiles) -> Pixels:
        """Training tiles of each row's class; a class with few tiles repeats them."""
        rng = np.random.default_rng(0)
        chosen = np.empty(len(self.classes), dtype=np.int64)
        for kind in np.unique(self.classes):
            places = self.classes == kind
            chosen[places] = np.resize(rng.permutation(np.flatnonzero(tiles.labels == kind)), places.sum())
        return self._mosaic(tiles.images[torch.from_numpy(chosen)].float() / 127.5 - 1)

    def _mosaic(self, images: Tensor) -> Pixels:
        pixels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)  # [rows · columns, 3, R, R]
        _, channels, side, _ = pixels.shape
        rows = pixels.view(-1, self.columns, channels, side, side).permute(0, 3, 1, 4, 2)
        return rows.reshape(-1, self.columns * side, channels).contiguous().numpy()
