"""What `networks.py` times of ours: the phases of training, with the loop's losses and augmentation, and drawing."""

import functools
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import plain_stylegan2 as plain
import torch
from network_case import (
    CLASSES,
    D_MAIN,
    DRAW,
    G_MAIN,
    LATENT_DIM,
    MAPPING_LAYERS,
    PATH_LENGTH,
    R1,
    Case,
    Task,
    tasks_on,
)
from torch import Tensor

from components.core.stylegan2 import Discriminator, Generator
from components.core.stylegan2.augment.draws import Random
from components.core.stylegan2.augment.pipe import AugmentPipe
from components.gan_train import losses
from components.gan_train.losses import Augmented, Latents

GPU_MARGINS = 8  # pixels; what the training loop rounds the augmentation's margins to


@dataclass(frozen=True)
class Way:
    """One way to execute our networks."""

    layout: torch.memory_format = torch.channels_last
    is_described: bool = False
    is_compiled: bool = False


WAYS = {
    "described": Way(is_described=True),
    "default layout": Way(layout=torch.contiguous_format),
    "ours": Way(),
    "compiled": Way(is_compiled=True),
}


def networks_of(case: Case) -> tuple[Generator, Discriminator]:
    """The networks that every way executes."""
    options: dict[str, Any] = {"channel_base": case.channel_base}
    if case.precision != "float32":
        options |= {"num_fp16_res": 4, "conv_clamp": 256.0, "precision": case.precision}
    G = Generator(LATENT_DIM, CLASSES, LATENT_DIM, case.resolution, mapping_layers=MAPPING_LAYERS, **options)
    return G.to(case.device), Discriminator(CLASSES, case.resolution, **options).to(case.device)


def tasks_of(case: Case, way: Way, G: Generator, D: Discriminator) -> dict[str, Task]:
    """The phases forward and backward, without the optimizer, and drawing a batch."""
    n, device = case.batch, torch.device(case.device)
    z, z_mix = torch.randn(2, n, LATENT_DIM, device=device)
    c = torch.eye(CLASSES, device=device)[torch.arange(n) % CLASSES]
    real = torch.randn(n, 3, case.resolution, case.resolution, device=device)
    pipe = AugmentPipe(margin_multiple=1 if device.type == "cpu" else GPU_MARGINS).to(device)
    pipe.p.fill_(case.p)
    rng = torch.Generator().manual_seed(0)
    names = [name for name, _ in G.synthesis.named_buffers() if name.endswith("noise_const")]
    do = _compiled() if way.is_compiled else losses
    G_way: Any = G
    D_way: Any = D
    if way.is_described:
        G_way = SimpleNamespace(mapping=G.mapping, synthesis=lambda ws, **_: plain.synthesize(G, ws))
        D_way = functools.partial(plain.discriminate, D)

    def latents(count: int) -> Latents:
        noise = None if way.is_described else dict(zip(names, G.synthesis.draw_noise(count), strict=True))
        return Latents(z[:count], c[:count], z_mix[:count], G.num_ws // 2, noise)

    def view() -> Augmented:
        return Augmented(pipe, pipe.draw(real, Random(rng)))

    def g_main() -> None:
        do.generator_loss(G_way, D_way, latents(n), view())[0].backward()

    def path_length() -> None:
        lengths = do.path_lengths(G_way, latents(n // 2), torch.randn_like(real[: n // 2]))
        losses.path_penalty(lengths, torch.ones([], device=device))[0].mean().backward()

    def d_main() -> None:
        do.fake_loss(G_way, D_way, latents(n), view())[0].backward()
        do.real_loss(D_way, real, c, view())[0].backward()

    def r1() -> None:
        do.r1_penalty(D_way, real, c, view())[0].mean().backward()

    @torch.inference_mode()
    def draw() -> Tensor:
        return do.synthesize(G_way, G.mapping(z, c), latents(n).noise)

    def lay_out() -> None:
        G.synthesis.b4.layout = D.layout = way.layout

    tasks = {G_MAIN: g_main, PATH_LENGTH: path_length, D_MAIN: d_main, R1: r1, DRAW: draw}
    return tasks_on(G, D, tasks, lay_out)


def _compiled() -> Any:
    names = ("generator_loss", "path_lengths", "fake_loss", "real_loss", "r1_penalty", "synthesize")
    return SimpleNamespace(**{name: torch.compile(getattr(losses, name)) for name in names})
