"""Hyper-parameters by name: the official release's configurations, its rule `auto`, and Thy-GAN's published one."""

from dataclasses import dataclass, replace

from components.core.errors import ConfigError

_AUTO_MBSTD_GROUP = 4
_EMA_RAMPUP = 0.05


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Resolved hyper-parameters of one configuration.

    Attributes:
        kimg: Longest training, thousands of real images.
        batch: Images per iteration, over all GPUs.
        batch_gpu: Images that a GPU computes at once; it accumulates gradients over batch / (batch_gpu · gpus) rounds.
        mbstd_group: Largest number of images whose spread the discriminator measures together.
        channel_base: Feature maps at resolution r are channel_base / r.
        learning_rate: Adam's learning rate, of both networks.
        gamma: Weight of the R1 penalty.
        ema_kimg: Half-life of the generator's moving average, thousands of images.
        ema_rampup: Largest half-life as a share of the images seen; None = no such limit.
        mapping_layers: Layers of the generator's mapping network.
        pl_weight: Weight of path-length regularisation; 0 = off.
        style_mixing: Probability of mixing two latents, 0..1.
        d_architecture: Architecture of the discriminator: resnet, orig or skip.
        ada_kimg: Thousands of images in which ADA's p can rise from 0 to 1.
        conditional: True where the tiles must have classes; False = classes are optional.
    """

    kimg: float = 25_000
    batch: int
    batch_gpu: int
    mbstd_group: int
    channel_base: int
    learning_rate: float
    gamma: float
    ema_kimg: float
    ema_rampup: float | None = None
    mapping_layers: int = 8
    pl_weight: float = 2.0
    style_mixing: float = 0.9
    d_architecture: str = "resnet"
    ada_kimg: float = 500
    conditional: bool = False

    def for_transfer(self) -> "Preset":
        """Hyper-parameters of a training from another's weights: ADA moves faster, and the average needs no ramp-up."""
        return replace(self, ada_kimg=100, ema_rampup=None)


_PAPER512 = Preset(
    batch=64, batch_gpu=8, mbstd_group=8, channel_base=32768, learning_rate=0.0025, gamma=0.5, ema_kimg=20
)
# `batch_gpu` fits the GPUs of the release's authors; only `auto` depends on the resolution.
PRESETS = {
    "stylegan2": Preset(
        batch=32, batch_gpu=4, mbstd_group=4, channel_base=32768, learning_rate=0.002, gamma=10, ema_kimg=10
    ),
    "paper256": replace(_PAPER512, channel_base=16384, gamma=1),
    "paper512": _PAPER512,
    "paper1024": Preset(
        batch=32, batch_gpu=4, mbstd_group=4, channel_base=32768, learning_rate=0.002, gamma=2, ema_kimg=10
    ),
    "cifar": Preset(
        kimg=100_000,
        batch=64,
        batch_gpu=32,
        mbstd_group=32,
        channel_base=32768,
        learning_rate=0.0025,
        gamma=0.01,
        ema_kimg=500,
        ema_rampup=_EMA_RAMPUP,
        mapping_layers=2,
        pl_weight=0,
        style_mixing=0,
        d_architecture="orig",
    ),
    "published": replace(_PAPER512, conditional=True),
}
NAMES = ("auto", *PRESETS)


def auto(resolution: int, gpus: int = 1, batch: int = 0) -> Preset:
    """The rule of the official release.

    Args:
        resolution: Side of the images, pixels.
        gpus: Number of GPUs.
        batch: Images per iteration, on which gamma and ema_kimg depend; 0 = the rule's.
    """
    batch = batch or max(min(gpus * min(4096 // resolution, 32), 64), gpus)
    return Preset(
        batch=batch,
        batch_gpu=batch // gpus,
        mbstd_group=min(batch // gpus, _AUTO_MBSTD_GROUP),
        channel_base=32768 if resolution >= 512 else 16384,
        learning_rate=0.002 if resolution >= 1024 else 0.0025,
        gamma=0.0002 * resolution**2 / batch,
        ema_kimg=batch * 10 / 32,
        ema_rampup=_EMA_RAMPUP,
        mapping_layers=2,
    )


def resolve_preset(name: str, resolution: int, gpus: int = 1, batch: int = 0) -> Preset:
    """The hyper-parameters of a preset.

    Args:
        name: One of `NAMES`.
        resolution: Side of the images, pixels.
        gpus: Number of GPUs, a power of two.
        batch: Images per iteration over all GPUs, each of which computes its share at once; 0 = the preset's.

    Raises:
        ConfigError: An unknown preset, a number of GPUs that is not a power of two, or a batch that they cannot share.
    """
    if name not in NAMES:
        raise ConfigError(f"There is no preset {name!r}: use one of {', '.join(NAMES)}.")
    if gpus < 1 or gpus.bit_count() != 1:
        raise ConfigError(f"{gpus} GPUs cannot share a batch evenly: use 1, 2, 4, 8 or another power of two.")
    preset = auto(resolution, gpus, batch) if name == "auto" else PRESETS[name]
    at_once = batch or preset.batch_gpu
    batch = batch or preset.batch
    if batch < 0 or batch % gpus:
        raise ConfigError(f"batch is {batch}: it must be a multiple of the {gpus} GPUs.")
    return replace(preset, batch=batch, batch_gpu=min(at_once, batch // gpus))
