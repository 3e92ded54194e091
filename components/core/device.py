"""Where tensors are computed."""

import torch

from components.core.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """The torch device of that name; "auto" = the GPU when there is one.

    Raises:
        ConfigError: Not a device, or not one of this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ConfigError(f"This machine has no device {name!r}: use cpu, cuda or auto.") from None
