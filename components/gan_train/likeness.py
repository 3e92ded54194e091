"""What a state was made with, compared with what would go on from it."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def runtime_fingerprint(device: torch.device, world_size: int) -> dict[str, Any]:
    """What decides about the last bit of a sum, beside the configuration."""
    return {
        "torch": torch.__version__,
        "cpu": f"{_cpu_model()}, {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "world_size": world_size,
    }


def config_diff(then: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> list[str]:
    """`key old → new` for every key that differs, those inside of nested values as `outer.key`."""
    found = []
    for key in sorted(then.keys() | now.keys()):
        old, new = then.get(key, "(absent)"), now.get(key, "(absent)")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += config_diff(old, new, f"{within}{key}.")
        elif old != new:
            found.append(f"{within}{key} {old} → {new}")
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
