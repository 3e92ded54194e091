"""Resolutions of both networks, with the width and the precision at each."""

import torch

ARCHITECTURES = ("skip", "resnet", "orig")
PRECISIONS = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def resolutions(img_resolution: int) -> list[int]:
    """4, 8, …, img_resolution."""
    assert img_resolution >= 4 and img_resolution.bit_count() == 1, (
        f"{img_resolution} px is not a power of two, at least 4"
    )
    return [2**power for power in range(2, img_resolution.bit_length())]


def channels(resolution: int, channel_base: int, channel_max: int) -> int:
    """Number of feature maps at a resolution."""
    return min(channel_base // resolution, channel_max)


def block_dtype(resolution: int, img_resolution: int, num_fp16_res: int, precision: str) -> torch.dtype:
    """Reduced precision for the `num_fp16_res` highest resolutions from 8 px, float32 for the others."""
    assert precision in PRECISIONS, precision
    is_reduced = num_fp16_res > 0 and resolution >= max(2 * img_resolution // 2**num_fp16_res, 8)
    return PRECISIONS[precision] if is_reduced else torch.float32


def dtype_on(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """The data type on a device: float32 in place of float16 on a CPU, where float16 is slower."""
    return torch.float32 if dtype == torch.float16 and device.type == "cpu" else dtype
