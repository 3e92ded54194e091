"""The configuration and the machine of a training, compared with those that its checkpoint was written with."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def runtime_fingerprint(device: torch.device, world_size: int = 1) -> dict[str, Any]:
    """Everything beside the configuration that can change the last bit of a sum.

    Args:
        device: Device of the training.
        world_size: Number of its processes.
    """
    return {
        "torch": torch.__version__,
        "cpu": f"{_cpu_model()}, {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "world_size": world_size,
    }


def config_diff(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`key old → new` for every key that differs, those inside of nested values as `outer.key`.

    Args:
        before: Values of the checkpoint.
        now: Values of the training that would resume.
        prefix: Prefix of the keys, for nested values.
    """
    changes = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key, "(absent)"), now.get(key, "(absent)")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes += config_diff(old, new, f"{prefix}{key}.")
        elif old != new:
            changes.append(f"{prefix}{key} {old} → {new}")
    return changes


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
