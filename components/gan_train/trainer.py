"""The training's state and its step: G main, G reg, D main, D reg, then the moving average of G and ADA."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from components.core.stylegan2 import AugmentPipe
from components.gan_train import losses
from components.gan_train.ada import AdaController
from components.gan_train.config import TrainingConfig, networks
from components.gan_train.dataset import InfiniteSampler, Tiles
from components.gan_train.distributed import ProcessGroup
from components.gan_train.random_inputs import Draws, IterationInputs, MicroBatch

G_INTERVAL, D_INTERVAL = 4, 16  # iterations between regularisations
GRADIENT_LIMIT = 1e5
_MARGIN_MULTIPLE = 8  # of augmentation on a GPU, whose memory and compiled code gain from few different sizes

Measured = dict[str, Tensor]


class GanTrainer:
    """The state of a training. Every process holds all of it and computes its parts of a batch.

    Attributes:
        G: Generator.
        D: Discriminator.
        G_ema: Moving average of G, what a snapshot holds.
        optimizer_g: Adam of G.
        optimizer_d: Adam of D.
        pipe: What augments; None = nothing does.
        ada: How strongly.
        pl_mean: Moving mean of path lengths.
        images_seen: Real images shown to D so far.
        losses: Module or namespace with the functions of `losses`, compiled ones for example.
    """

    def __init__(
        self,
        settings: TrainingConfig,
        c_dim: int,
        resolution: int,
        device: torch.device,
        team: ProcessGroup | None = None,
    ) -> None:
        self.settings, self.device, self.team = settings, device, team or ProcessGroup()
        # Layers draw their own first values; a forked stream keeps that from touching anyone else's random numbers.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.G, self.D = networks(settings, c_dim, resolution)
        self.G.train().to(device)
        self.D.train().to(device)
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        self.optimizer_g = lazy_adam(self.G, settings.learning_rate, G_INTERVAL)
        self.optimizer_d = lazy_adam(self.D, settings.learning_rate, D_INTERVAL)
        self.pipe: AugmentPipe | None = None
        if settings.augment != "noaug":
            multiple = _MARGIN_MULTIPLE if device.type == "cuda" else 1
            self.pipe = AugmentPipe(settings.augment_pipe, margin_multiple=multiple).to(device)
        self.ada = AdaController(
            mode=settings.augment,
            p=settings.augment_p,
            target=settings.ada_target,
            kimg=settings.ada_kimg,
            reduce=self.team.sum,
        )
        self._p_shown = 0.0
        self._show_p()
        self.pl_mean = torch.zeros([], device=device)
        self.images_seen = 0
        self.losses: Any = losses
        rounds = settings.batch // (settings.batch_gpu * self.team.size)
        self._parts = [MicroBatch(self.team.rank * rounds + k, self.team.size * rounds) for k in range(rounds)]

    def draw(self, tiles: Tiles, order: InfiniteSampler) -> IterationInputs:
        """What is random in the next iteration."""
        s = self.settings
        return IterationInputs(
            s.seed,
            self.images_seen,
            s.batch,
            tiles=tiles,
            order=order,
            G=self.G,
            pipe=self.pipe,
            style_mixing=s.style_mixing,
            device=self.device,
        )

    def step(self, draws: Draws) -> Measured:
        """One iteration; returns what it measured, without waiting for the device."""
        s, iteration = self.settings, self.images_seen // self.settings.batch
        measured = self._phase("g_main", self.G, lambda part: self._g_main(draws, part))
        if s.pl_weight and iteration % G_INTERVAL == 0:
            measured |= self._path_length(draws)
        measured |= self._phase("d_main", self.D, lambda part: self._d_main(draws, part))
        if iteration % D_INTERVAL == 0:
            measured |= self._phase("d_reg", self.D, lambda part: self._d_reg(draws, part))
        update_ema(self.G_ema, self.G, ema_beta(s.batch, s.ema_kimg, s.ema_rampup, self.images_seen))
        self.images_seen += s.batch
        self.ada.update(s.batch)
        self._show_p()
        return measured

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on. Every process calls it when the others do."""
        return {
            "G": self.G.state_dict(),
            "D": self.D.state_dict(),
            "G_ema": self.G_ema.state_dict(),
            "optimizer_g": self.optimizer_g.state_dict(),
            "optimizer_d": self.optimizer_d.state_dict(),
            "ada": self.ada.state_dict(),
            "pl_mean": self.pl_mean,
            "images_seen": self.images_seen,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken."""
        for name in ("G", "D", "G_ema", "optimizer_g", "optimizer_d", "ada"):
            getattr(self, name).load_state_dict(state[name])
        self.pl_mean = state["pl_mean"].to(self.device)
        self.images_seen = state["images_seen"]
        self._show_p()

    def _g_main(self, draws: Draws, part: MicroBatch) -> Measured:
        latents, view = draws.latents("g_main", part), draws.view("g_main", part)
        loss, logits = self.losses.generator_loss(self.G, self.D, latents, view)
        self._backward(loss)
        return {"loss_g": loss.detach(), "score_fake": logits.mean()}

    def _path_length(self, draws: Draws) -> Measured:
        weight, before = self.settings.pl_weight * G_INTERVAL, self.pl_mean

        def lengths_of(part: MicroBatch) -> Tensor:
            lengths: Tensor = self.losses.path_lengths(self.G, draws.latents("g_reg", part), draws.pl_noise(part))
            return lengths

        def batch_mean_of(lengths: list[Tensor]) -> Tensor:
            return self.team.sum(torch.stack([one.detach().mean() for one in lengths]).mean()) / self.team.size

        batch_mean = None
        if len(self._parts) > 1:  # a part's penalty needs the whole batch's mean: parts are walked through twice
            w_avg = self.G.mapping.w_avg.clone()
            with torch.no_grad():
                batch_mean = batch_mean_of([lengths_of(part) for part in self._parts])
            self.G.mapping.w_avg.copy_(w_avg)

        def work(part: MicroBatch) -> Measured:
            lengths = lengths_of(part)
            mean = batch_mean_of([lengths]) if batch_mean is None else batch_mean
            penalty, self.pl_mean = losses.path_penalty(lengths, before, mean)
            self._backward(penalty.mean() * weight)
            return {"path_length": lengths.detach().mean()}

        return self._phase("g_reg", self.G, work)

    def _d_main(self, draws: Draws, part: MicroBatch) -> Measured:
        latents, view = draws.latents("d_main", part), draws.view("fake", part)
        fake, _ = self.losses.fake_loss(self.G, self.D, latents, view)
        self._backward(fake)
        real, logits = self.losses.real_loss(self.D, *draws.real(part), draws.view("real", part))
        self._backward(real)
        self.ada.report(logits)
        return {"loss_d": (fake + real).detach(), "score_real": logits.mean(), "sign_real": logits.sign().mean()}

    def _d_reg(self, draws: Draws, part: MicroBatch) -> Measured:
        penalty, logits = self.losses.r1_penalty(self.D, *draws.real(part), draws.view("r1", part))
        self._backward(penalty.mean() * (self.settings.gamma / 2 * D_INTERVAL))
        self.ada.report(logits)
        return {"r1_penalty": penalty.detach().mean()}

    def _backward(self, loss: Tensor) -> None:
        """Adds a part's gradients: their mean over all parts is the batch's gradient."""
        (loss / len(self._parts)).backward()

    def _phase(self, name: str, network: nn.Module, work: Callable[[MicroBatch], Measured]) -> Measured:
        """Gathers one network's gradients over all parts and takes its step."""
        self.G.requires_grad_(network is self.G)
        self.D.requires_grad_(network is self.D)
        optimizer = self.optimizer_g if network is self.G else self.optimizer_d
        optimizer.zero_grad(set_to_none=True)
        w_avg = self.G.mapping.w_avg
        before, moved = w_avg.clone(), torch.zeros_like(w_avg)
        measured: list[Measured] = []
        for part in self._parts:
            w_avg.copy_(before)  # each part moves the mean of w from where it was; the batch moves it by their mean
            measured.append(work(part))
            moved += w_avg
        w_avg.copy_(moved / len(self._parts))
        for parameter in network.parameters():
            if parameter.grad is None:  # a regularisation that it has no part in still ages its Adam moments
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        self.team.average([*gradients, w_avg])
        is_lost, norm = sanitize(gradients)
        optimizer.step()
        means = {key: torch.stack([one[key] for one in measured]).mean() for key in measured[0]}
        return {**means, f"lost_{name}": is_lost, f"norm_{name}": norm}

    def _show_p(self) -> None:
        if self.pipe is not None and self._p_shown != self.ada.p:  # a new value makes the pipe wait for its device
            self.pipe.p.fill_(self.ada.p)
            self._p_shown = self.ada.p


def sanitize(gradients: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Makes gradients finite in place, as float16 has no loss scaling.

    Returns:
        Whether they were not, as 0 or 1, and their norm, 0 where they were not.
    """
    norm = torch.nn.utils.get_total_norm(gradients)
    is_lost = ~norm.isfinite()
    if is_lost.is_cuda or is_lost:  # a GPU is not waited for
        for gradient in gradients:
            torch.nan_to_num(gradient, nan=0, posinf=GRADIENT_LIMIT, neginf=-GRADIENT_LIMIT, out=gradient)
    return is_lost.float(), torch.where(is_lost, 0, norm)


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
