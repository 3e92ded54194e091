"""Times a clone of the original StyleGAN2-ADA from outside: a process of its own that reads what to run.

    python bench/reference_networks.py FOLDER       started by `networks.py`

The first line in is a JSON object, the fields of a `Case`; every further line names a task and is answered with the
seconds that it took, or asks for the peak of memory. The losses are written as the papers have them, with
`torch.autograd.grad`; the networks and the augmentation are the clone's own.
"""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from network_case import (
    CLASSES,
    D_MAIN,
    DRAW,
    G_MAIN,
    LATENT_DIM,
    MAPPING_LAYERS,
    PATH_LENGTH,
    PEAK,
    R1,
    Case,
    Task,
    peak_gib,
    seconds_of,
    tasks_on,
)
from torch import Tensor, nn

BLIT, GEOMETRY = ("xflip", "rotate90", "xint"), ("scale", "rotate", "aniso", "xfrac")
COLOUR = ("brightness", "contrast", "lumaflip", "hue", "saturation")


def networks_of(original: Any, case: Case) -> tuple[nn.Module, nn.Module]:
    """The clone's, like ours."""
    options = {"channel_base": case.channel_base, "channel_max": 512}
    if case.precision != "float32":
        options |= {"num_fp16_res": 4, "conv_clamp": 256}
    G = original.networks.Generator(
        *(LATENT_DIM, CLASSES, LATENT_DIM, case.resolution, 3),
        mapping_kwargs={"num_layers": MAPPING_LAYERS},
        synthesis_kwargs=options,
    )
    D = original.networks.Discriminator(CLASSES, case.resolution, 3, **options, epilogue_kwargs={"mbstd_group_size": 4})
    return G.to(case.device), D.to(case.device)


def tasks_of(original: Any, case: Case) -> dict[str, Task]:
    """The phases forward and backward, without the optimizer, and drawing a batch."""
    G, D = networks_of(original, case)
    pipe = original.augment.AugmentPipe(**dict.fromkeys(BLIT + GEOMETRY + COLOUR, 1)).to(case.device)
    pipe.p.fill_(case.p)
    n, side, device = case.batch, case.resolution, case.device
    z, z_mix = torch.randn(2, n, LATENT_DIM, device=device)
    c = torch.eye(CLASSES, device=device)[torch.arange(n) % CLASSES]
    real = torch.randn(n, 3, side, side, device=device)

    def mixed(count: int) -> Tensor:
        ws, cutoff = G.mapping(z[:count], c[:count]), G.num_ws // 2
        return torch.cat([ws[:, :cutoff], G.mapping(z_mix[:count], c[:count])[:, cutoff:]], dim=1)

    def g_main() -> None:
        F.softplus(-D(pipe(G.synthesis(mixed(n))), c)).mean().backward()

    def path_length() -> None:
        ws = mixed(n // 2)
        images = G.synthesis(ws)
        direction = torch.randn_like(images) / side
        (jacobian,) = torch.autograd.grad((images * direction).sum(), ws, create_graph=True)
        (jacobian.square().sum(dim=2).mean(dim=1).sqrt() - 1).square().mean().backward()

    def d_main() -> None:
        with torch.no_grad():
            fake = pipe(G.synthesis(mixed(n)))
        F.softplus(D(fake, c)).mean().backward()
        F.softplus(-D(pipe(real), c)).mean().backward()

    def r1() -> None:
        images = real.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(D(pipe(images), c).sum(), images, create_graph=True)
        gradient.square().sum(dim=(1, 2, 3)).mean().backward()

    @torch.inference_mode()
    def draw() -> Tensor:
        return G(z, c)

    return tasks_on(G, D, {G_MAIN: g_main, PATH_LENGTH: path_length, D_MAIN: d_main, R1: r1, DRAW: draw})


def main(folder: str) -> None:
    """Answers until its input ends."""
    sys.tracebacklimit = 0  # messages only: the clone's text is not ours to show
    answers, sys.stdout = sys.stdout, sys.stderr
    sys.path.insert(0, str(Path(folder).resolve()))
    original = SimpleNamespace(
        **{name: importlib.import_module(f"training.{name}") for name in ("networks", "augment")}
    )
    case = Case(**json.loads(sys.stdin.readline()))
    tasks = tasks_of(original, case)
    for line in sys.stdin:
        name = line.strip()
        found = peak_gib(case.device) if name == PEAK else seconds_of(tasks[name], case)
        print(found, file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
