"""Detection of a collapsed training, from the statistics of its ticks alone, so that a resumed one decides alike."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.fidelity.fid import Features, frechet_distance
from components.core.fidelity.prdc import precision_recall
from components.core.records.gan_train import TickRow
from components.core.stylegan2 import Generator
from components.core.stylegan2.sampling import latents, one_hot
from components.gan_train.dataset import Tiles

THUMBNAIL_PX = 8
MIN_IMAGES, MAX_IMAGES = 32, 1024  # for one measurement
LIMIT_KIMG = 500.0  # for which ADA may stay at its limit
_SNAPSHOTS, _COLLAPSED_SHARE, _MIN_RECALL = 3, 0.1, 0.2


class ThumbnailMetrics:
    """Recall and Fréchet distance between thumbnails of tiles and of generated images, without a feature network.

    Thumbnails show layout and colour: enough to notice a generator that draws one image, not to rank good ones.
    """

    def __init__(self, tiles: Tiles, images: int, seed: int) -> None:
        """Draws the tiles and latents to compare.

        Args:
            tiles: Training tiles.
            images: Largest number of tiles, and of generated images at each snapshot.
            seed: Seed of the draw.
        """
        rng = np.random.default_rng(seed)
        count = max(min(images, MAX_IMAGES, len(tiles.labels)), MIN_IMAGES)
        rows = np.resize(rng.permutation(len(tiles.labels)), count)
        self._classes = tiles.labels[rows].tolist()
        self._seeds = rng.integers(0, 2**32, count).tolist()
        parts = torch.from_numpy(rows).to(tiles.images.device).split(MIN_IMAGES)
        self._reals = np.concatenate([_thumbnails(tiles.images[part].float() / 127.5 - 1) for part in parts])

    @torch.no_grad()
    def measure(self, G: Generator, device: torch.device, batch: int) -> dict[str, float | None]:
        """Recall (0..1) and Fréchet distance of thumbnails; 0 and None where an image is not finite."""
        fakes = []
        for start in range(0, len(self._seeds), batch):
            z = torch.from_numpy(latents(self._seeds[start : start + batch], G.z_dim)).float().to(device)
            c = one_hot(self._classes[start : start + batch], G.c_dim).to(device)
            fakes.append(_thumbnails(G(z, c, noise_mode="const")))
        fake = np.concatenate(fakes)
        if not np.isfinite(fake).all():
            return {"recall": 0.0, "distance": None}
        return {"recall": precision_recall(self._reals, fake)[1], "distance": frechet_distance(self._reals, fake)}


def collapse_reason(rows: Sequence[TickRow], ada_kimg: float) -> str:
    """Reason to end the training, a sentence; '' = it has not collapsed.

    Args:
        rows: Statistics of all ticks so far, at least one.
        ada_kimg: Thousands of images in which ADA's p can go from 0 to 1.
    """
    return _ada_limit_reason(rows, max(ada_kimg, LIMIT_KIMG)) or _recall_reason(rows)


def _ada_limit_reason(rows: Sequence[TickRow], kimg: float) -> str:
    now = rows[-1].kimg
    recent = [row for row in rows if row.kimg > now - kimg]
    if len(recent) == len(rows) or any(row.augment_p < 1 for row in recent):
        return ""
    return (
        f"ADA's p has been 1 for {kimg:g} kimg: the discriminator memorises the tiles in spite of all "
        "augmentation. Train with more tiles, a larger gamma, or a smaller channel_base."
    )


def _recall_reason(rows: Sequence[TickRow]) -> str:
    snapshots = [(row.recall, row.distance) for row in rows if row.recall is not None]
    distance = snapshots[-1][1] if snapshots else None
    # Noise of an untrained generator covers every tile, so recall at a larger distance was not better.
    earlier = [
        recall
        for recall, earlier_distance in snapshots[:-_SNAPSHOTS]
        if distance is None or (earlier_distance is not None and earlier_distance <= distance)
    ]
    last = [recall for recall, _ in snapshots[-_SNAPSHOTS:]]
    if not earlier or max(earlier) < _MIN_RECALL or max(last) >= max(earlier) * _COLLAPSED_SHARE:
        return ""
    return (
        f"recall fell from {max(earlier):.2f} to {last[-1]:.2f} and stayed there for {_SNAPSHOTS} snapshots: the "
        "generator draws the same few images. Choose an earlier snapshot, or train with a larger gamma or a lower "
        "learning_rate."
    )


def _thumbnails(images: Tensor) -> Features:
    """[N, 3 · 8 · 8] of images [N, 3, R, R]."""
    small = F.adaptive_avg_pool2d(images.float(), THUMBNAIL_PX).flatten(1)
    features: Features = small.cpu().numpy().astype(np.float64)
    return features
