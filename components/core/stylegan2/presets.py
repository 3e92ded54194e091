"""Hyper-parameters that follow from the resolution: the official release's rule `auto`."""

from dataclasses import dataclass

MBSTD_GROUP = 4
MIXED_PRECISION_RESOLUTIONS, MIXED_PRECISION_CLAMP = 4, 256.0  # on a GPU
EMA_RAMPUP = 0.05


@dataclass(frozen=True)
class Preset:
    """What `auto` says.

    Attributes:
        batch: Images per iteration, over all GPUs.
        channel_base: Feature maps at resolution r are channel_base / r.
        gamma: Weight of R1.
        learning_rate: Of both networks' Adam.
        ema_kimg: Half-life of the generator's moving average, in thousand images.
    """

    batch: int
    channel_base: int
    gamma: float
    learning_rate: float
    ema_kimg: float


def auto(resolution: int, gpus: int = 1, batch: int = 0) -> Preset:
    """The rule for a resolution in pixels; a `batch` of one's own moves what depends on it."""
    batch = batch or max(min(gpus * min(4096 // resolution, 32), 64), gpus)
    return Preset(
        batch=batch,
        channel_base=32768 if resolution >= 512 else 16384,
        gamma=0.0002 * resolution**2 / batch,
        learning_rate=0.002 if resolution >= 1024 else 0.0025,
        ema_kimg=batch * 10 / 32,
    )
