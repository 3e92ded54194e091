"""What both networks share: the resolutions they climb, how wide they are there, and in which precision they run."""

import torch

ARCHITECTURES = ("skip", "resnet", "orig")
PRECISIONS = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def resolutions(img_resolution: int) -> list[int]:
    """4, 8, …, img_resolution."""
    assert img_resolution >= 4 and img_resolution.bit_count() == 1, f"{img_resolution} px is no power of two from 4 on"
    return [2**power for power in range(2, img_resolution.bit_length())]


def channels(resolution: int, channel_base: int, channel_max: int) -> int:
    """Feature maps at a resolution."""
    return min(channel_base // resolution, channel_max)


def block_dtype(resolution: int, img_resolution: int, num_fp16_res: int, precision: str) -> torch.dtype:
    """Reduced for the `num_fp16_res` highest resolutions, except below 8 px; float32 for the others."""
    assert precision in PRECISIONS, precision
    is_reduced = num_fp16_res > 0 and resolution >= max(2 * img_resolution // 2**num_fp16_res, 8)
    return PRECISIONS[precision] if is_reduced else torch.float32


def dtype_on(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """The block's own, or float32 for float16 on a CPU, which is slower there."""
    return torch.float32 if dtype == torch.float16 and device.type == "cpu" else dtype
