"""The losses of StyleGAN2, each a mean over the batch (Karras et al. 2020, §3.2; Mescheder et al. 2018 for R1).

Inner derivatives are taken by `torch.func.grad`: the same numbers as by `autograd.grad`, and the only form of a second
derivative that `torch.compile` takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.stylegan2 import AugmentPipe, Discriminator, Generator
from components.core.stylegan2.augment.pipe import Augmentation

PATH_LENGTH_DECAY = 0.01
PATH_LENGTH_SHRINK = 2  # the batch is divided by it, as the second derivative takes memory

View = Callable[[Tensor], Tensor]  # augmentation between the images and the discriminator


@dataclass(frozen=True)
class Latents:
    """The inputs of one call of the generator in training.

    Attributes:
        z: Latents [N, z_dim].
        c: Label vectors [N, c_dim].
        z_mix: Second latents [N, z_dim] for style mixing; None = no mixing in this call.
        cutoff: Index of the first w that the second latents replace.
        noise: Fresh noise [N, 1, r, r] by the name of the stored noise it replaces; None = the stored noise.
    """

    z: Tensor
    c: Tensor
    z_mix: Tensor | None = None
    cutoff: int = 0
    noise: Mapping[str, Tensor] | None = None


@dataclass(frozen=True)
class Augmented:
    """The augmentation pipe with parameters drawn beforehand."""

    pipe: AugmentPipe
    how: Augmentation

    def __call__(self, images: Tensor) -> Tensor:
        """Augments; differentiable twice."""
        return self.pipe.augment(images, self.how)


def no_augmentation(images: Tensor) -> Tensor:
    """The images as they are."""
    return images


def map_latents(G: Generator, latents: Latents) -> Tensor:
    """ws [N, num_ws, w_dim], mixed."""
    ws = G.mapping(latents.z, latents.c)
    if latents.z_mix is None:
        return ws
    other = G.mapping(latents.z_mix, latents.c, update_w_avg=False)
    return torch.cat([ws[:, : latents.cutoff], other[:, latents.cutoff :]], dim=1)


def synthesize(G: Generator, ws: Tensor, noise: Mapping[str, Tensor] | None) -> Tensor:
    """Images of ws. Noise comes as an argument, so that this is a function of tensors."""
    if noise is None:
        return G.synthesis(ws, noise_mode="const")
    return torch.func.functional_call(G.synthesis, dict(noise), (ws,), {"noise_mode": "const"})


def generator_loss(
    G: Generator, D: Discriminator, latents: Latents, view: View = no_augmentation
) -> tuple[Tensor, Tensor]:
    """Non-saturating loss softplus(-D(G(z))); also the logits [N, 1]."""
    logits = D(view(synthesize(G, map_latents(G, latents), latents.noise)), latents.c)
    return F.softplus(-logits).mean(), logits.detach()


def fake_loss(G: Generator, D: Discriminator, latents: Latents, view: View = no_augmentation) -> tuple[Tensor, Tensor]:
    """The discriminator's loss on fakes, softplus(D(G(z))); also the logits [N, 1]."""
    with torch.no_grad():
        fake = view(synthesize(G, map_latents(G, latents), latents.noise))
    logits = D(fake, latents.c)
    return F.softplus(logits).mean(), logits.detach()


def real_loss(D: Discriminator, real: Tensor, c: Tensor, view: View = no_augmentation) -> tuple[Tensor, Tensor]:
    """The discriminator's loss on reals, softplus(-D(x)); also the logits [N, 1]."""
    logits = D(view(real), c)
    return F.softplus(-logits).mean(), logits.detach()


def r1_penalty(D: Discriminator, real: Tensor, c: Tensor, view: View = no_augmentation) -> tuple[Tensor, Tensor]:
    """Squared norm [N] of the logits' gradient in the images before augmentation; also the logits [N, 1]."""

    def total(images: Tensor) -> tuple[Tensor, Tensor]:
        logits = D(view(images), c)
        return logits.sum(), logits

    gradient, logits = torch.func.grad(total, has_aux=True)(real)
    return gradient.square().sum(dim=(1, 2, 3)), logits.detach()


def path_lengths(G: Generator, latents: Latents, pl_noise: Tensor) -> Tensor:
    """Length [N] of the image's derivative in w, along a random direction (equation 4).

    Args:
        G: Generator.
        latents: Latents of N images.
        pl_noise: Standard normal directions [N, C, H, W].
    """
    direction = pl_noise / (pl_noise.shape[2] * pl_noise.shape[3]) ** 0.5

    def projection(ws: Tensor) -> Tensor:
        return (synthesize(G, ws, latents.noise) * direction).sum()

    jacobian = torch.func.grad(projection)(map_latents(G, latents))  # [N, num_ws, w_dim]
    return jacobian.square().sum(dim=2).mean(dim=1).sqrt()


def path_penalty(lengths: Tensor, mean: Tensor, batch_mean: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Penalty [n] on lengths that differ from their moving mean a, and the moved mean.

    The gradient flows through this step's update of the mean, too. It is written out, because the update is the whole
    batch's, of which these lengths may be a part: d/dl of mean (l - a)², a = lerp(a, mean l, 0.01).

    Args:
        lengths: Path lengths [n] of the batch, or of a part of it.
        mean: Moving mean before this step.
        batch_mean: Mean length of the whole batch; None = `lengths` are the whole batch.
    """
    lengths_now = lengths.detach()
    batch_mean = lengths_now.mean() if batch_mean is None else batch_mean
    moved = mean.lerp(batch_mean, PATH_LENGTH_DECAY)
    through_the_mean = 2 * PATH_LENGTH_DECAY * (batch_mean - moved) * (lengths - lengths_now)  # 0, with a slope
    return (lengths - moved).square() - through_the_mean, moved
