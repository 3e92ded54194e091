"""Whether a training has collapsed: from what was written down at its ticks, so that a resumed one judges alike."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.fidelity.fid import Features, frechet_distance
from components.core.fidelity.prdc import precision_recall
from components.core.stylegan2 import Generator
from components.core.stylegan2.sampling import latents, one_hot
from components.gan_train.dataset import Tiles

THUMBNAIL_PX = 8
FEWEST, MOST = 32, 1024  # images that are compared
PINNED_KIMG = 500.0
_SNAPSHOTS, _SHARE, _ONCE = 3, 0.1, 0.2


class ThumbnailMetrics:
    """How the tiles and a generator's images cover each other, seen from so far away that no network is needed.

    Thumbnails show layout and colour: enough to see that a generator draws one image, not to choose between good ones.
    """

    def __init__(self, tiles: Tiles, images: int, seed: int) -> None:
        """Draws which tiles and latents are compared.

        Args:
            tiles: The training's.
            images: How many of each, at most; a generator draws as many at each snapshot.
            seed: Of the draw.
        """
        rng = np.random.default_rng(seed)
        count = max(min(images, MOST, len(tiles.labels)), FEWEST)
        chosen = np.resize(rng.permutation(len(tiles.labels)), count)
        self._classes = tiles.labels[chosen].tolist()
        self._seeds = rng.integers(0, 2**32, count).tolist()
        parts = torch.from_numpy(chosen).to(tiles.images.device).split(FEWEST)
        self._reals = np.concatenate([_thumbnails(tiles.images[part].float() / 127.5 - 1) for part in parts])

    @torch.no_grad()
    def measure(self, G: Generator, device: torch.device, batch: int) -> dict[str, float | None]:
        """Recall (0 to 1) and Fréchet distance of thumbnails; 0 and None where the images are no numbers."""
        fakes = []
        for start in range(0, len(self._seeds), batch):
            z = torch.from_numpy(latents(self._seeds[start : start + batch], G.z_dim)).float().to(device)
            c = one_hot(self._classes[start : start + batch], G.c_dim).to(device)
            fakes.append(_thumbnails(G(z, c, noise_mode="const")))
        fake = np.concatenate(fakes)
        if not np.isfinite(fake).all():
            return {"recall": 0.0, "distance": None}
        return {"recall": precision_recall(self._reals, fake)[1], "distance": frechet_distance(self._reals, fake)}


def why_collapsed(rows: Sequence[dict[str, Any]], ada_kimg: float) -> str:
    """A sentence, or '' while the training is well.

    Args:
        rows: Of all ticks so far.
        ada_kimg: In which ADA's p can go from 0 to 1.
    """
    return _pinned(rows, max(ada_kimg, PINNED_KIMG)) or _forgetful(rows)


def _pinned(rows: Sequence[dict[str, Any]], kimg: float) -> str:
    now = rows[-1]["kimg"]
    recent = [row for row in rows if row["kimg"] > now - kimg]
    if len(recent) == len(rows) or any(row["augment_p"] < 1 for row in recent):
        return ""
    return (
        f"ADA's p has been 1 for {kimg:g} kimg: the discriminator knows the tiles by heart in spite of "
        "all augmentation. Train with more tiles, a larger gamma, or a smaller channel_base."
    )


def _forgetful(rows: Sequence[dict[str, Any]]) -> str:
    measured = [row for row in rows if row.get("recall") is not None]
    recent, now = measured[-_SNAPSHOTS:], measured[-1].get("distance") if measured else None
    # Noise of a generator that has learnt nothing covers every tile: what was farther from the tiles was no better.
    earlier = [row["recall"] for row in measured[:-_SNAPSHOTS] if now is None or row["distance"] <= now]
    last = [row["recall"] for row in recent]
    if not earlier or max(earlier) < _ONCE or max(last) >= max(earlier) * _SHARE:
        return ""
    return (
        f"recall fell from {max(earlier):.2f} to {last[-1]:.2f} and stayed there for {_SNAPSHOTS} snapshots: the "
        "generator draws ever the same images. Choose an earlier snapshot, or train with a larger gamma or a lower "
        "learning_rate."
    )


def _thumbnails(images: Tensor) -> Features:
    """[N, 3 · 8 · 8] of images [N, 3, R, R]."""
    small = F.adaptive_avg_pool2d(images.float(), THUMBNAIL_PX).flatten(1)
    features: Features = small.cpu().numpy().astype(np.float64)
    return features
