"""Class centres in W, for truncation that does not pull towards the other classes."""

from pathlib import Path

import torch
from torch import Tensor

from components.core.errors import ConfigError
from components.core.stylegan2.generator import Generator
from components.core.stylegan2.snapshot import load_centres

_BATCH = 1000


@torch.no_grad()
def class_centres(G: Generator, *, per_class: int = 10_000, seed: int = 0) -> Tensor:
    """The mean w of each class, [c_dim, w_dim] on the generator's device.

    `w_avg` is one mean over all labels in the training's mixture. `c @ class_centres(G)` is a `truncation_centre` for
    labels c [N, c_dim], soft ones included.

    Args:
        G: A conditional generator.
        per_class: Number of latents for each class; all classes share them.
        seed: Seed of the latents.

    Raises:
        ConfigError: The generator is unconditional.
    """
    if G.c_dim == 0:
        raise ConfigError("An unconditional generator has no class centres: truncate towards its w_avg.")
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(per_class, G.z_dim, generator=rng).to(G.mapping.w_avg.device)
    return torch.stack([_centre(G, z, label) for label in torch.eye(G.c_dim, device=z.device)])


def centres_of(path: str | Path, G: Generator) -> Tensor:
    """The class centres of a snapshot: those saved with it, or `class_centres`.

    Args:
        path: Snapshot, as `load_generator` takes it.
        G: Generator of that snapshot.
    """
    stored = load_centres(path)
    return class_centres(G) if stored is None else stored


def _centre(G: Generator, z: Tensor, label: Tensor) -> Tensor:
    total = torch.zeros(G.w_dim, dtype=torch.float64, device=z.device)
    for batch in z.split(_BATCH):
        w = G.mapping(batch, label.expand(len(batch), -1), update_w_avg=False)[:, 0]  # [n, w_dim]
        total += w.double().sum(dim=0)
    return (total / len(z)).float()
