"""Hyper-parameters by name: the official release's configurations, its rule `auto`, and Thy-GAN's published one."""

from dataclasses import dataclass, replace

from components.core.errors import ConfigError

LATENT_DIM, CHANNEL_MAX = 512, 512
ADAM_BETAS, ADAM_EPSILON = (0.0, 0.99), 1e-8
ADA_TARGET = 0.6
MBSTD_GROUP = 4  # of `auto`
MIXED_PRECISION_RESOLUTIONS, MIXED_PRECISION_CLAMP = 4, 256.0  # on a GPU
EMA_RAMPUP = 0.05


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Resolved hyper-parameters.

    Attributes:
        kimg: Length in thousand real images; a ceiling, not an aim.
        batch: Images per iteration, over all GPUs.
        batch_gpu: Images that a GPU works on at once; it accumulates gradients over batch / (batch_gpu · gpus) rounds.
        mbstd_group: Images whose spread the discriminator measures together, at most.
        channel_base: Feature maps at resolution r are channel_base / r.
        learning_rate: Of both networks' Adam.
        gamma: Weight of R1.
        ema_kimg: Half-life of the generator's moving average, in thousand images …
        ema_rampup: … and at most this share of the images seen; None = no such limit.
        mapping_layers: Depth of the generator's mapping network.
        pl_weight: Weight of path-length regularisation; 0 = none.
        style_mixing: Probability of mixing styles.
        d_architecture: Of the discriminator.
        ada_kimg: In which ADA's p may rise from 0 to 1, in thousand images.
        num_fp16_res: How many of the highest resolutions run in reduced precision.
        conv_clamp: Limit of activations; None = none.
        conditional: Whether tiles must have classes; None = the networks are told of them where there are any.
        mirror: Whether the data set is doubled by its mirror images; None = as the user says.
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
    num_fp16_res: int = MIXED_PRECISION_RESOLUTIONS
    conv_clamp: float | None = MIXED_PRECISION_CLAMP
    conditional: bool | None = None
    mirror: bool | None = None

    def transferred(self) -> "Preset":
        """For a training that starts from another's weights: ADA moves faster, the average has nothing to ramp up."""
        return replace(self, ada_kimg=100, ema_rampup=None)

    def in_float32(self) -> "Preset":
        """Without reduced precision, and without the clamp that guards it."""
        return replace(self, num_fp16_res=0, conv_clamp=None)


_PAPER512 = Preset(
    batch=64, batch_gpu=8, mbstd_group=8, channel_base=32768, learning_rate=0.0025, gamma=0.5, ema_kimg=20
)
# `batch_gpu` is that of the GPUs which the release's authors had; all but `auto` are the same for every resolution.
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
        ema_rampup=EMA_RAMPUP,
        mapping_layers=2,
        pl_weight=0,
        style_mixing=0,
        d_architecture="orig",
    ),
    "published": replace(_PAPER512, conditional=True, mirror=True),
}
NAMES = ("auto", *PRESETS)


def auto(resolution: int, gpus: int = 1, batch: int = 0) -> Preset:
    """The rule for a resolution in pixels; a `batch` of one's own moves what depends on it."""
    batch = batch or max(min(gpus * min(4096 // resolution, 32), 64), gpus)
    return Preset(
        batch=batch,
        batch_gpu=batch // gpus,
        mbstd_group=min(batch // gpus, MBSTD_GROUP),
        channel_base=32768 if resolution >= 512 else 16384,
        learning_rate=0.002 if resolution >= 1024 else 0.0025,
        gamma=0.0002 * resolution**2 / batch,
        ema_kimg=batch * 10 / 32,
        ema_rampup=EMA_RAMPUP,
        mapping_layers=2,
    )


def resolve_preset(name: str, resolution: int, gpus: int = 1, batch: int = 0) -> Preset:
    """What a preset says for a resolution in pixels.

    Args:
        name: One of `NAMES`.
        resolution: Side of the images.
        gpus: How many work together, a power of two.
        batch: Images per iteration, over all GPUs, each of which takes its part at once; 0 = the preset's.

    Raises:
        ConfigError: No such preset, a number of GPUs that is no power of two, or a batch that they cannot share.
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
