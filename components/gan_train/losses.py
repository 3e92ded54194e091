"""The four losses of StyleGAN2, each a mean over the batch (Karras et al. 2020, §3.2; Mescheder et al. 2018 for R1)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.stylegan2 import Discriminator, Generator

PATH_LENGTH_DECAY = 0.01
PATH_LENGTH_WEIGHT = 2.0
PATH_LENGTH_SHRINK = 2  # the batch is divided by it, as the second derivative takes memory


@dataclass(frozen=True)
class Latents:
    """What one call of the generator in training takes.

    Attributes:
        z: [N, z_dim].
        c: Label vectors [N, c_dim].
        z_mix: Second latents [N, z_dim] for style mixing; None = no mixing in this call.
        cutoff: First w that the second latents replace.
    """

    z: Tensor
    c: Tensor
    z_mix: Tensor | None = None
    cutoff: int = 0

    def front(self, n: int) -> "Latents":
        """The first n."""
        return Latents(self.z[:n], self.c[:n], None if self.z_mix is None else self.z_mix[:n], self.cutoff)


def map_latents(G: Generator, latents: Latents) -> Tensor:
    """ws [N, num_ws, w_dim], mixed."""
    ws = G.mapping(latents.z, latents.c)
    if latents.z_mix is None:
        return ws
    other = G.mapping(latents.z_mix, latents.c, update_w_avg=False)
    return torch.cat([ws[:, : latents.cutoff], other[:, latents.cutoff :]], dim=1)


def synthesize(G: Generator, ws: Tensor, noise: torch.Generator | None) -> Tensor:
    """Images of ws with fresh noise; `noise` None = with the stored noise."""
    return G.synthesis(ws, noise_mode="const" if noise is None else "random", rng=noise)


def generator_loss(
    G: Generator, D: Discriminator, latents: Latents, noise: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Non-saturating loss softplus(-D(G(z))); also the logits [N, 1]."""
    logits = D(synthesize(G, map_latents(G, latents), noise), latents.c)
    return F.softplus(-logits).mean(), logits.detach()


def fake_loss(G: Generator, D: Discriminator, latents: Latents, noise: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """The discriminator's loss on fakes, softplus(D(G(z))); also the logits [N, 1]."""
    with torch.no_grad():
        fake = synthesize(G, map_latents(G, latents), noise)
    logits = D(fake, latents.c)
    return F.softplus(logits).mean(), logits.detach()


def real_loss(D: Discriminator, real: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The discriminator's loss on reals, softplus(-D(x)); also the logits [N, 1]."""
    logits = D(real, c)
    return F.softplus(-logits).mean(), logits.detach()


def r1_penalty(D: Discriminator, real: Tensor, c: Tensor) -> Tensor:
    """Squared norm [N] of the logits' gradient in the real images."""
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(D(real, c).sum(), real, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3))


def path_lengths(G: Generator, latents: Latents, pl_noise: Tensor, noise: torch.Generator | None) -> Tensor:
    """Length [N] of the image's derivative in w, along a random direction (equation 4).

    Args:
        G: The generator.
        latents: Of n images.
        pl_noise: Standard normal [n, C, H, W].
        noise: For the noise inputs.
    """
    ws = map_latents(G, latents)
    images = synthesize(G, ws, noise)
    direction = pl_noise / (images.shape[2] * images.shape[3]) ** 0.5
    (jacobian,) = torch.autograd.grad((images * direction).sum(), ws, create_graph=True)  # [n, num_ws, w_dim]
    return jacobian.square().sum(dim=2).mean(dim=1).sqrt()


def path_penalty(lengths: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Penalty [n] on lengths that differ from their moving mean, and the moved mean.

    The gradient flows through this step's move of the mean too.
    """
    moved = mean.lerp(lengths.mean(), PATH_LENGTH_DECAY)
    return (lengths - moved).square(), moved.detach()
