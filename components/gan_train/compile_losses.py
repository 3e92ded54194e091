"""The losses through torch.compile, used only where their gradients are those of the plain functions."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from components.core.runtime.progress import log
from components.gan_train import losses
from components.gan_train.random_inputs import Draws, MicroBatch
from components.gan_train.trainer import GanTrainer

NAMES = ("generator_loss", "path_lengths", "fake_loss", "real_loss", "r1_penalty")
_TOLERANCE = {"fp32": 1e-3, "fp16": 5e-2, "bf16": 5e-2}  # relative, of the whole gradient


def compile_losses(training: GanTrainer, draws: Draws, part: MicroBatch, backend: str = "inductor") -> Any:
    """The functions of `losses`, compiled by a backend of torch.compile; or the plain ones, as `proven` decides."""
    compiled = {name: torch.compile(getattr(losses, name), backend=backend) for name in NAMES}
    return proven(SimpleNamespace(**compiled), training, draws, part)


def proven(compiled: Any, training: GanTrainer, draws: Draws, part: MicroBatch) -> Any:
    """The compiled functions if they have the gradients of the plain ones, else those; with a word of why.

    Args:
        compiled: Has a function for each of `NAMES`.
        training: Its networks are used and left as they are.
        draws: To compare with.
        part: Of the draws.
    """
    w_avg = training.G.mapping.w_avg.clone()
    try:
        differences = {name: _difference(training, name, draws, part, getattr(compiled, name)) for name in NAMES}
    except Exception as error:  # whatever a compiler raises: the plain functions need none
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        log(f"torch.compile failed ({reason}): training without it.")
        return losses
    finally:
        training.G.mapping.w_avg.copy_(w_avg)
        for network in (training.G, training.D):
            network.zero_grad(set_to_none=True)
    limit = _TOLERANCE[training.settings.precision]
    if wrong := [f"{name} by {found:.1e}" for name, found in differences.items() if not found <= limit]:
        log(f"Compiled gradients differ from the plain ones ({', '.join(wrong)}): training without torch.compile.")
        return losses
    log(f"torch.compile: gradients differ by {max(differences.values()):.1e} at most, relative.")
    return compiled


def _difference(training: GanTrainer, name: str, draws: Draws, part: MicroBatch, function: Callable[..., Any]) -> float:
    """Relative difference of the gradients of a compiled function and the plain one."""
    G, D = training.G, training.D
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
    plain, other = (_gradient(network, one, arguments[name]()) for one in (getattr(losses, name), function))
    return ((plain - other).norm() / plain.norm()).item()


def _gradient(network: nn.Module, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Tensor:
    network.zero_grad(set_to_none=True)
    result = function(*arguments)
    (result[0] if isinstance(result, tuple) else result).mean().backward()
    gradients = (torch.zeros_like(one) if one.grad is None else one.grad for one in network.parameters())
    return torch.cat([one.flatten() for one in gradients])
