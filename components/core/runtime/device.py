"""Where tensors are computed."""

import torch

from components.core.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """The torch device of that name; "auto" = the GPU when there is one, "cuda" = the current GPU.

    Raises:
        ConfigError: Not a device, or not one of this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ConfigError(f"This machine has no device {name!r}: use cpu, cuda or auto.") from None


def pick_devices(text: str) -> list[torch.device]:
    """The torch devices of a list, in its order, for stages that work on several at once.

    Args:
        text: "cuda" = every GPU; "auto" = every GPU, or the CPU on a machine without one; one device such as "cpu" or
            "cuda:1"; or several with commas. A device that is named twice is in the list twice.

    Raises:
        ConfigError: An empty name, not a device, or not one of this machine.
    """
    devices: list[torch.device] = []
    for name in (one.strip() for one in text.split(",")):
        if not name:
            raise ConfigError(f"{text!r} has an empty device name: use auto, cpu, cuda, cuda:0 or cuda:0,cuda:1.")
        if name in ("auto", "cuda") and torch.cuda.device_count():
            devices += [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
        else:
            devices.append(pick_device(name))
    return devices
