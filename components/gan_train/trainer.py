"""The state of a training and its step: G main, G reg, D main, D reg, then the moving average of G and ADA."""

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
from components.gan_train.random_inputs import IterationInputs, MicroBatch, RandomInputs

PHASES = ("g_main", "g_reg", "d_main", "d_reg")
G_INTERVAL, D_INTERVAL = 4, 16  # iterations between regularisations
ADAM_BETAS, ADAM_EPSILON = (0.0, 0.99), 1e-8
GRADIENT_LIMIT = 1e5
_MARGIN_MULTIPLE = 8  # pixels; on a GPU, memory and compiled code gain from few different sizes of augmentation margins

Scalars = dict[str, Tensor]


class GanTrainer:
    """The state of a training. Every process holds all of it and computes its parts of a batch.

    Attributes:
        config: Resolved configuration.
        device: Device of this process.
        group: Processes of the training.
        G: Generator.
        D: Discriminator.
        G_ema: Moving average of G, which snapshots hold.
        optimizer_g: Adam of G.
        optimizer_d: Adam of D.
        pipe: Augmentation pipe; None = no augmentation.
        ada: Controller of the augmentation's probability.
        pl_mean: Moving mean of path lengths.
        images_seen: Number of real images shown to D so far.
        losses: Module or namespace with the functions of `losses`, plain or compiled.
    """

    def __init__(
        self,
        config: TrainingConfig,
        c_dim: int,
        resolution: int,
        device: torch.device,
        group: ProcessGroup | None = None,
    ) -> None:
        """Builds the networks from the configuration's seed.

        Args:
            config: Resolved configuration.
            c_dim: Number of classes; 0 = unconditional.
            resolution: Side of the tiles, pixels.
            device: Device of this process.
            group: Processes of the training; None = this one alone.
        """
        self.config, self.device, self.group = config, device, group or ProcessGroup()
        # Layers draw their initial values from the global stream; a fork of it leaves everyone else's numbers alone.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.G, self.D = networks(config, c_dim, resolution)
        self.G.train().to(device)
        self.D.train().to(device)
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        self.optimizer_g = lazy_adam(self.G, config.learning_rate, G_INTERVAL)
        self.optimizer_d = lazy_adam(self.D, config.learning_rate, D_INTERVAL)
        self.pipe: AugmentPipe | None = None
        if config.augment != "noaug":
            multiple = _MARGIN_MULTIPLE if device.type == "cuda" else 1
            self.pipe = AugmentPipe(config.augment_pipe, margin_multiple=multiple).to(device)
        self.ada = AdaController(
            mode=config.augment,
            p=config.augment_p,
            target=config.ada_target,
            kimg=config.ada_kimg,
            reduce=self.group.sum,
        )
        self._pipe_p = 0.0
        self._update_pipe()
        self.pl_mean = torch.zeros([], device=device)
        self.images_seen = 0
        self.losses: Any = losses
        rounds = config.batch // (config.batch_gpu * self.group.size)
        self._parts = [MicroBatch(self.group.rank * rounds + k, self.group.size * rounds) for k in range(rounds)]

    def draw(self, tiles: Tiles, order: InfiniteSampler) -> IterationInputs:
        """The random inputs of the next iteration."""
        config = self.config
        return IterationInputs(
            config.seed,
            self.images_seen,
            config.batch,
            tiles=tiles,
            order=order,
            G=self.G,
            pipe=self.pipe,
            style_mixing=config.style_mixing,
            device=self.device,
        )

    def step(self, draws: RandomInputs) -> Scalars:
        """One iteration; returns its losses and other scalars, without waiting for the device."""
        config, iteration = self.config, self.images_seen // self.config.batch
        scalars = self._phase("g_main", self.G, lambda part: self._g_main(draws, part))
        if config.pl_weight and iteration % G_INTERVAL == 0:
            scalars |= self._path_length(draws)
        scalars |= self._phase("d_main", self.D, lambda part: self._d_main(draws, part))
        if iteration % D_INTERVAL == 0:
            scalars |= self._phase("d_reg", self.D, lambda part: self._d_reg(draws, part))
        beta = ema_beta(config.batch, config.ema_kimg, config.ema_rampup, self.images_seen)
        update_ema(self.G_ema, self.G, beta)
        self.images_seen += config.batch
        self.ada.update(config.batch)
        self._update_pipe()
        return scalars

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
        """Resumes from a `state_dict`."""
        for name in ("G", "D", "G_ema", "optimizer_g", "optimizer_d", "ada"):
            getattr(self, name).load_state_dict(state[name])
        self.pl_mean = state["pl_mean"].to(self.device)
        self.images_seen = state["images_seen"]
        self._update_pipe()

    def _g_main(self, draws: RandomInputs, part: MicroBatch) -> Scalars:
        latents, view = draws.latents("g_main", part), draws.view("g_main", part)
        loss, logits = self.losses.generator_loss(self.G, self.D, latents, view)
        self._backward(loss)
        return {"loss_g": loss.detach(), "score_fake": logits.mean()}

    def _path_length(self, draws: RandomInputs) -> Scalars:
        weight, before = self.config.pl_weight * G_INTERVAL, self.pl_mean

        def lengths_of(part: MicroBatch) -> Tensor:
            lengths: Tensor = self.losses.path_lengths(self.G, draws.latents("g_reg", part), draws.pl_noise(part))
            return lengths

        def batch_mean_of(lengths: list[Tensor]) -> Tensor:
            return self.group.sum(torch.stack([part.detach().mean() for part in lengths]).mean()) / self.group.size

        batch_mean = None
        if len(self._parts) > 1:  # a part's penalty needs the whole batch's mean, so every part is computed twice
            w_avg = self.G.mapping.w_avg.clone()
            with torch.no_grad():
                batch_mean = batch_mean_of([lengths_of(part) for part in self._parts])
            self.G.mapping.w_avg.copy_(w_avg)

        def penalize(part: MicroBatch) -> Scalars:
            lengths = lengths_of(part)
            mean = batch_mean_of([lengths]) if batch_mean is None else batch_mean
            penalty, self.pl_mean = losses.path_penalty(lengths, before, mean)
            self._backward(penalty.mean() * weight)
            return {"path_length": lengths.detach().mean()}

        return self._phase("g_reg", self.G, penalize)

    def _d_main(self, draws: RandomInputs, part: MicroBatch) -> Scalars:
        latents, view = draws.latents("d_main", part), draws.view("fake", part)
        fake, _ = self.losses.fake_loss(self.G, self.D, latents, view)
        self._backward(fake)
        real, logits = self.losses.real_loss(self.D, *draws.real(part), draws.view("real", part))
        self._backward(real)
        self.ada.report(logits)
        return {"loss_d": (fake + real).detach(), "score_real": logits.mean(), "sign_real": logits.sign().mean()}

    def _d_reg(self, draws: RandomInputs, part: MicroBatch) -> Scalars:
        penalty, logits = self.losses.r1_penalty(self.D, *draws.real(part), draws.view("r1", part))
        self._backward(penalty.mean() * (self.config.gamma / 2 * D_INTERVAL))
        self.ada.report(logits)
        return {"r1_penalty": penalty.detach().mean()}

    def _backward(self, loss: Tensor) -> None:
        """Adds the gradients of a part; their mean over all parts is the batch's gradient."""
        (loss / len(self._parts)).backward()

    def _phase(self, name: str, network: nn.Module, compute: Callable[[MicroBatch], Scalars]) -> Scalars:
        """Accumulates the gradients of one network over all parts, and steps its optimizer."""
        self.G.requires_grad_(network is self.G)
        self.D.requires_grad_(network is self.D)
        optimizer = self.optimizer_g if network is self.G else self.optimizer_d
        optimizer.zero_grad(set_to_none=True)
        w_avg = self.G.mapping.w_avg
        before, total = w_avg.clone(), torch.zeros_like(w_avg)
        scalars: list[Scalars] = []
        for part in self._parts:
            w_avg.copy_(before)  # each part updates the mean of w from the same start; the batch's is their mean
            scalars.append(compute(part))
            total += w_avg
        w_avg.copy_(total / len(self._parts))
        for parameter in network.parameters():
            if parameter.grad is None:  # outside this regularisation, but its Adam moments still decay
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        self.group.average([*gradients, w_avg])
        is_nonfinite, norm = sanitize(gradients)
        optimizer.step()
        means = {key: torch.stack([part[key] for part in scalars]).mean() for key in scalars[0]}
        return {**means, f"lost_{name}": is_nonfinite, f"norm_{name}": norm}

    def _update_pipe(self) -> None:
        if self.pipe is not None and self._pipe_p != self.ada.p:  # writing a value waits for the device
            self.pipe.p.fill_(self.ada.p)
            self._pipe_p = self.ada.p


def sanitize(gradients: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Replaces non-finite gradients in place, because float16 has no loss scaling here.

    Returns:
        1 where a gradient was non-finite, else 0; and the norm of all gradients, 0 where one was non-finite.
    """
    norm = torch.nn.utils.get_total_norm(gradients)
    is_nonfinite = ~norm.isfinite()
    if is_nonfinite.is_cuda or is_nonfinite:  # on a GPU without waiting for it
        for gradient in gradients:
            torch.nan_to_num(gradient, nan=0, posinf=GRADIENT_LIMIT, neginf=-GRADIENT_LIMIT, out=gradient)
    return is_nonfinite.float(), torch.where(is_nonfinite, 0, norm)


def lazy_adam(network: nn.Module, learning_rate: float, interval: int) -> torch.optim.Adam:
    """Adam for a network that is regularised every `interval` iterations (StyleGAN2, appendix B)."""
    ratio = interval / (interval + 1)
    betas = (ADAM_BETAS[0] ** ratio, ADAM_BETAS[1] ** ratio)
    return torch.optim.Adam(network.parameters(), lr=learning_rate * ratio, betas=betas, eps=ADAM_EPSILON, fused=True)


def ema_beta(batch: int, ema_kimg: float, rampup: float | None, images_seen: int) -> float:
    """Weight of the old average in this iteration, 0..1.

    Args:
        batch: Images per iteration.
        ema_kimg: Half-life, thousands of images.
        rampup: Largest half-life as a share of the images seen; None = no such limit.
        images_seen: Number of images before this iteration.
    """
    half_life = ema_kimg * 1000
    if rampup is not None:
        half_life = min(half_life, images_seen * rampup)
    return 0.5 ** (batch / max(half_life, 1e-8))


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, beta: float) -> None:
    """Moves the average's parameters towards the network's, and copies its buffers."""
    for average_parameter, parameter in zip(average.parameters(), network.parameters(), strict=True):
        average_parameter.lerp_(parameter, 1 - beta)
    for average_buffer, buffer in zip(average.buffers(), network.buffers(), strict=True):
        average_buffer.copy_(buffer)
