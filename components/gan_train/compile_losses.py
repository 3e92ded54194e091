"""The losses through torch.compile, used only where their gradients equal those of the plain functions."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from components.core.runtime.progress import log
from components.gan_train import losses
from components.gan_train.random_inputs import MicroBatch, RandomInputs
from components.gan_train.trainer import GanTrainer

NAMES = ("generator_loss", "path_lengths", "fake_loss", "real_loss", "r1_penalty")
_TOLERANCE = {"fp32": 1e-3, "fp16": 5e-2, "bf16": 5e-2}  # relative, of the whole gradient


def compile_losses(trainer: GanTrainer, draws: RandomInputs, part: MicroBatch, backend: str = "inductor") -> Any:
    """The functions of `losses`, compiled by a backend of torch.compile if their gradients are right, else plain."""
    compiled = {name: torch.compile(getattr(losses, name), backend=backend) for name in NAMES}
    return select_losses(SimpleNamespace(**compiled), trainer, draws, part)


def select_losses(compiled: Any, trainer: GanTrainer, draws: RandomInputs, part: MicroBatch) -> Any:
    """The compiled functions if their gradients equal those of the plain ones, else the plain ones; logs which.

    Args:
        compiled: Namespace with a function for each of `NAMES`.
        trainer: Training whose networks compute the gradients; it stays unchanged.
        draws: Random inputs of the comparison.
        part: Part of the batch to compare with.
    """
    w_avg = trainer.G.mapping.w_avg.clone()
    try:
        differences = {name: _difference(trainer, name, draws, part, getattr(compiled, name)) for name in NAMES}
    except Exception as error:  # a compiler may raise anything; the plain functions need none
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        log(f"torch.compile failed ({reason}): training without it.", "warning")
        return losses
    finally:
        trainer.G.mapping.w_avg.copy_(w_avg)
        for network in (trainer.G, trainer.D):
            network.zero_grad(set_to_none=True)
    limit = _TOLERANCE[trainer.config.precision]
    if wrong := [f"{name} by {error:.1e}" for name, error in differences.items() if not error <= limit]:
        log(
            f"Compiled gradients differ from the plain ones ({', '.join(wrong)}): training without torch.compile.",
            "warning",
        )
        return losses
    log(f"torch.compile: gradients differ by {max(differences.values()):.1e} at most, relative.")
    return compiled


def _difference(
    trainer: GanTrainer, name: str, draws: RandomInputs, part: MicroBatch, function: Callable[..., Any]
) -> float:
    """Relative difference between the gradients of a compiled function and the plain one."""
    G, D = trainer.G, trainer.D
    network: nn.Module = G if name in ("generator_loss", "path_lengths") else D
    G.requires_grad_(network is G)
    D.requires_grad_(network is D)
    arguments: dict[str, Callable[[], tuple[Any, ...]]] = {
        "generator_loss": lambda: (G, D, draws.latents("g_main", part), draws.view("g_main", part)),
        "path_lengths": lambda: (G, draws.latents("g_reg", part), draws.pl_noise(part)),
        "fake_loss": lambda: (G, D, draws.latents("d_main", part), draws.view("fake", part)),
        "real_loss": lambda: (D, *draws.real(part), draws.view("real", part)),
        "r1_penalty": lambda: (D, *draws.real(part), draws.view("r1", part)),
    }
    plain, other = (_gradient(network, loss, arguments[name]()) for loss in (getattr(losses, name), function))
    return ((plain - other).norm() / plain.norm()).item()


def _gradient(network: nn.Module, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Tensor:
    network.zero_grad(set_to_none=True)
    result = function(*arguments)
    (result[0] if isinstance(result, tuple) else result).mean().backward()
    gradients = (torch.zeros_like(value) if value.grad is None else value.grad for value in network.parameters())
    return torch.cat([gradient.flatten() for gradient in gradients])
