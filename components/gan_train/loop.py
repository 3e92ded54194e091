"""The training's state and its step: G main, G reg, D main, D reg, then the moving average of G."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from components.core.stylegan2 import Discriminator, Generator, presets
from components.gan_train.data import Tiles
from components.gan_train.losses import (
    PATH_LENGTH_SHRINK,
    PATH_LENGTH_WEIGHT,
    Latents,
    fake_loss,
    generator_loss,
    path_lengths,
    path_penalty,
    r1_penalty,
    real_loss,
)
from components.gan_train.settings import Settings

G_INTERVAL, D_INTERVAL = 4, 16  # iterations between regularisations
STYLE_MIXING = 0.9
GRADIENT_LIMIT = 1e5


@dataclass(frozen=True)
class Draws:
    """Everything random in one iteration.

    Attributes:
        real: [N, 3, R, R], shown in both phases of D.
        real_c: [N, c_dim].
        g_main: Latents of the phase.
        g_reg: Of n = N / 2 images.
        d_main: Of N.
        pl_noise: Standard normal [n, 3, R, R].
        noise: Source of the noise inputs; None = the stored noise.
    """

    real: Tensor
    real_c: Tensor
    g_main: Latents
    g_reg: Latents
    d_main: Latents
    pl_noise: Tensor
    noise: torch.Generator | None


class Training:
    """The state of a training.

    Attributes:
        G: Generator.
        D: Discriminator.
        G_ema: Moving average of G, what a snapshot holds.
        optimizer_g: Adam of G.
        optimizer_d: Adam of D.
        pl_mean: Moving mean of path lengths.
        images_seen: Real images shown to D so far.
    """

    def __init__(self, settings: Settings, c_dim: int, resolution: int, device: torch.device) -> None:
        self.settings, self.device = settings, device
        # Layers draw their own first values; a forked stream keeps that from touching anyone else's random numbers.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            width: dict[str, Any] = {
                "channel_base": settings.channel_base,
                "channel_max": settings.channel_max,
                "num_fp16_res": presets.MIXED_PRECISION_RESOLUTIONS if settings.mixed_precision else 0,
                "conv_clamp": presets.MIXED_PRECISION_CLAMP if settings.mixed_precision else None,
            }
            z_dim = w_dim = settings.latent_dim
            self.G = Generator(z_dim, c_dim, w_dim, resolution, mapping_layers=settings.mapping_layers, **width)
            self.D = Discriminator(c_dim, resolution, mbstd_group_size=settings.mbstd_group, **width)
        self.G.train().to(device)
        self.D.train().to(device)
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        self.optimizer_g = lazy_adam(self.G, settings.learning_rate, G_INTERVAL)
        self.optimizer_d = lazy_adam(self.D, settings.learning_rate, D_INTERVAL)
        self.pl_mean = torch.zeros([], device=device)
        self.images_seen = 0

    def draw(self, tiles: Tiles) -> Draws:
        """What is random in the next iteration: a function of the seed and the images seen."""
        batch, device = self.settings.batch, self.device
        rng = np.random.default_rng([self.settings.seed, self.images_seen])
        noise = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
        real, real_c = tiles.reals(self.images_seen, batch)

        def latents(n: int) -> Latents:
            z, z_mix = torch.from_numpy(rng.standard_normal((2, n, self.G.z_dim), dtype=np.float32)).to(device)
            c = tiles.random_labels(rng, n).to(device)
            if rng.random() < STYLE_MIXING:
                return Latents(z, c, z_mix, int(rng.integers(1, self.G.num_ws)))
            return Latents(z, c)

        halved = batch // PATH_LENGTH_SHRINK
        return Draws(
            real=real.to(device),
            real_c=real_c.to(device),
            g_main=latents(batch),
            g_reg=latents(halved),
            d_main=latents(batch),
            pl_noise=torch.randn(halved, *real.shape[1:], device=device, generator=noise),
            noise=noise,
        )

    def step(self, draws: Draws) -> dict[str, Tensor]:
        """One iteration; returns what it measured, without waiting for the device."""
        s, G, D, noise = self.settings, self.G, self.D, draws.noise
        iteration = self.images_seen // s.batch
        measured: dict[str, Tensor] = {}
        with self._updates(G, self.optimizer_g):
            loss, logits = generator_loss(G, D, draws.g_main, noise)
            loss.backward()
            measured |= {"loss_g": loss.detach(), "score_fake": logits.mean()}
        if iteration % G_INTERVAL == 0:
            with self._updates(G, self.optimizer_g):
                lengths = path_lengths(G, draws.g_reg, draws.pl_noise, noise)
                penalty, self.pl_mean = path_penalty(lengths, self.pl_mean)
                (penalty.mean() * (PATH_LENGTH_WEIGHT * G_INTERVAL)).backward()
                measured["path_length"] = lengths.detach().mean()
        with self._updates(D, self.optimizer_d):
            fake, _ = fake_loss(G, D, draws.d_main, noise)
            fake.backward()
            real, logits = real_loss(D, draws.real, draws.real_c)
            real.backward()
            measured |= {"loss_d": (fake + real).detach(), "score_real": logits.mean()}
        if iteration % D_INTERVAL == 0:
            with self._updates(D, self.optimizer_d):
                penalty = r1_penalty(D, draws.real, draws.real_c)
                (penalty.mean() * (s.gamma / 2 * D_INTERVAL)).backward()
                measured["r1_penalty"] = penalty.detach().mean()
        update_ema(self.G_ema, G, ema_beta(s.batch, s.ema_kimg, s.ema_rampup, self.images_seen))
        self.images_seen += s.batch
        return measured

    @contextmanager
    def _updates(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """One phase: gradients of one network are gathered inside, its step is taken at the end."""
        self.G.requires_grad_(network is self.G)
        self.D.requires_grad_(network is self.D)
        optimizer.zero_grad(set_to_none=True)
        yield
        for parameter in network.parameters():
            if parameter.grad is None:  # a regularisation that it has no part in still ages its Adam moments
                parameter.grad = torch.zeros_like(parameter)
            elif self.settings.mixed_precision:
                torch.nan_to_num(
                    parameter.grad, nan=0, posinf=GRADIENT_LIMIT, neginf=-GRADIENT_LIMIT, out=parameter.grad
                )
        optimizer.step()


def lazy_adam(network: nn.Module, learning_rate: float, interval: int) -> torch.optim.Adam:
    """Adam (0, 0.99) for a network that is regularised every `interval` iterations (StyleGAN2, appendix B)."""
    ratio = interval / (interval + 1)
    return torch.optim.Adam(
        network.parameters(), lr=learning_rate * ratio, betas=(0.0, 0.99**ratio), eps=1e-8, fused=True
    )


def ema_beta(batch: int, ema_kimg: float, rampup: float | None, images_seen: int) -> float:
    """What is kept of the moving average in this iteration; `images_seen` counts those before it."""
    half_life = ema_kimg * 1000
    if rampup is not None:
        half_life = min(half_life, images_seen * rampup)
    return 0.5 ** (batch / max(half_life, 1e-8))


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, beta: float) -> None:
    """Parameters move towards the network's; buffers are copied."""
    for average_parameter, parameter in zip(average.parameters(), network.parameters(), strict=True):
        average_parameter.lerp_(parameter, 1 - beta)
    for average_buffer, buffer in zip(average.buffers(), network.buffers(), strict=True):
        average_buffer.copy_(buffer)
