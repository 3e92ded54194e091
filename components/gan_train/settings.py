"""What a training is told, with every 0 replaced by what the rule says."""

import math
from dataclasses import dataclass

import torch

from components.core.errors import ConfigError
from components.core.stylegan2 import presets

SNAPSHOTS_BY_DEFAULT = 5
TICK_KIMG, TICKS_AT_LEAST = 4.0, 40


@dataclass(frozen=True)
class Settings:
    """A training's resolved settings.

    Attributes:
        kimg: Length in thousand real images.
        batch: Images per iteration.
        mbstd_group: Images whose spread the discriminator measures together.
        channel_base: Feature maps at resolution r are channel_base / r …
        channel_max: … and at most this many.
        mapping_layers: Depth of the generator's mapping network.
        latent_dim: Length of z and w.
        gamma: Weight of R1.
        learning_rate: Of both networks' Adam.
        ema_kimg: Half-life of the generator's moving average …
        ema_rampup: … and at most this share of the images seen; None = no such limit.
        snapshot_kimg: Between snapshots.
        tick_kimg: Between entries of the statistics.
        seed: Of everything random.
        mixed_precision: Whether the highest resolutions run in float16.
    """

    kimg: float
    batch: int
    mbstd_group: int
    channel_base: int
    channel_max: int
    mapping_layers: int
    latent_dim: int
    gamma: float
    learning_rate: float
    ema_kimg: float
    ema_rampup: float | None
    snapshot_kimg: float
    tick_kimg: float
    seed: int
    mixed_precision: bool


def resolve(
    resolution: int,
    device: torch.device,
    *,
    kimg: float,
    batch: int,
    channel_base: int,
    channel_max: int,
    mapping_layers: int,
    latent_dim: int,
    gamma: float,
    learning_rate: float,
    ema_kimg: float,
    snapshot_kimg: float,
    seed: int,
) -> Settings:
    """Fills in the rule `auto` for the resolution, and refuses what cannot be meant.

    Raises:
        ConfigError: Out of range, or a batch that the discriminator cannot group.
    """
    for name, value, least in (
        ("batch", batch, 0),
        ("channel_base", channel_base, 0),
        ("gamma", gamma, 0),
        ("learning_rate", learning_rate, 0),
        ("ema_kimg", ema_kimg, 0),
        ("snapshot_kimg", snapshot_kimg, 0),
        ("seed", seed, 0),
        ("channel_max", channel_max, 1),
        ("mapping_layers", mapping_layers, 1),
        ("latent_dim", latent_dim, 1),
    ):
        if not (math.isfinite(value) and value >= least):
            raise ConfigError(f"{name} is {value}: it must be at least {least}.")
    if not (math.isfinite(kimg) and kimg > 0):
        raise ConfigError(f"kimg is {kimg}: a training needs a positive number of thousand images.")
    rule = presets.auto(resolution, batch=batch)
    if rule.batch < 2:
        raise ConfigError("batch is 1: path-length regularisation takes half a batch, so give at least 2.")
    group = min(rule.batch, presets.MBSTD_GROUP)
    if rule.batch % group:
        raise ConfigError(
            f"batch is {rule.batch}: it must be divisible by {group}, the group whose spread the discriminator sees."
        )
    channel_base = channel_base or rule.channel_base
    if channel_base < resolution:
        raise ConfigError(
            f"channel_base is {channel_base}: at {resolution} px that leaves no feature map, so give at least "
            f"{resolution}, better {resolution * 16}."
        )
    snapshot_kimg = snapshot_kimg or kimg / SNAPSHOTS_BY_DEFAULT
    return Settings(
        kimg=kimg,
        batch=rule.batch,
        mbstd_group=group,
        channel_base=channel_base,
        channel_max=channel_max,
        mapping_layers=mapping_layers,
        latent_dim=latent_dim,
        gamma=gamma or rule.gamma,
        learning_rate=learning_rate or rule.learning_rate,
        ema_kimg=ema_kimg or rule.ema_kimg,
        ema_rampup=presets.EMA_RAMPUP,
        snapshot_kimg=snapshot_kimg,
        tick_kimg=min(TICK_KIMG, kimg / TICKS_AT_LEAST),
        seed=seed,
        mixed_precision=device.type == "cuda",
    )
