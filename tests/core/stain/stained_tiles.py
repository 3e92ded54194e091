"""Tiles mixed from known stains."""

import numpy as np
import torch

HAEMATOXYLIN, EOSIN = np.array([0.65, 0.70, 0.29]), np.array([0.07, 0.99, 0.11])  # Ruifrok and Johnston 2001


def stained(seed: int, count: int, haematoxylin=HAEMATOXYLIN, eosin=EOSIN, strength=1.0, side=32) -> torch.Tensor:
    """Tiles [N, 3, H, W] whose optical density is a known mix of two stains: the same tissue for the same seed."""
    rng = np.random.default_rng(seed)
    amounts = rng.gamma(2.0, 0.5, (count, side, side, 2)) * strength + 0.15
    density = amounts @ np.stack([haematoxylin / np.linalg.norm(haematoxylin), eosin / np.linalg.norm(eosin)])
    return torch.from_numpy((240 * np.exp(-density)).clip(0, 255).astype(np.uint8)).permute(0, 3, 1, 2)
