"""The torch devices that an option names."""

import torch

from components.core.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """The torch device of that name; "auto" = the GPU if there is one, "cuda" = the current GPU.

    Raises:
        ConfigError: The name is not a device, or this machine does not have it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ConfigError(f"This machine has no device {name!r}: use cpu, cuda or auto.") from None


def pick_devices(text: str) -> list[torch.device]:
    """The torch devices of a list, in its order, for stages that use several at once.

    Args:
        text: "cuda" = every GPU; "auto" = every GPU, or the CPU on a machine without one; one device such as "cpu" or
            "cuda:1"; or several with commas. A device listed twice is returned twice.

    Raises:
        ConfigError: A name is empty, is not a device, or this machine does not have it.
    """
    devices: list[torch.device] = []
    for name in (part.strip() for part in text.split(",")):
        if not name:
            raise ConfigError(f"{text!r} has an empty device name: use auto, cpu, cuda, cuda:0 or cuda:0,cuda:1.")
        if name in ("auto", "cuda") and torch.cuda.device_count():
            devices += [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
        else:
            devices.append(pick_device(name))
    return devices
