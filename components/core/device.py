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


def pick_devices(name: str) -> list[torch.device]:
    """The devices of one name, or of several with commas; "auto" and "cuda" = every GPU, "auto" without one = CPU.

    Raises:
        ConfigError: Not a device, or not one of this machine.
    """
    gpus = [torch.device("cuda", place) for place in range(torch.cuda.device_count())]
    if gpus and name in ("auto", "cuda"):
        return gpus
    return [pick_device(one.strip()) for one in name.split(",")]
