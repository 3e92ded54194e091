"""What a training is told, with everything left open replaced by what its preset says."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import torch

from components.core.errors import ConfigError
from components.core.stylegan2 import Discriminator, Generator, presets
from components.gan_train import ada
from components.gan_train.dataset import ORIENTATIONS

PRECISIONS = ("auto", "fp32", "fp16", "bf16")
_REDUCED = {"fp16": "float16", "bf16": "bfloat16"}
SNAPSHOTS_BY_DEFAULT = 5
TICK_KIMG, TICKS_AT_LEAST = 4.0, 40
PRESETS_OWN = -1.0  # where 0 has a meaning of its own
_MAY_CHANGE = ("kimg", "batch_gpu", "memory_gb", "keep_best", "stop_on_collapse")


@dataclass(frozen=True)
class GanOptions:
    """What is asked for; the fields are options of the stage's `run`, which describes them."""

    preset: str
    kimg: float
    batch: int
    batch_gpu: int
    memory_gb: float
    channel_base: int
    channel_max: int
    mapping_layers: int
    d_mapping_layers: int
    latent_dim: int
    gamma: float
    pl_weight: float
    style_mixing: float
    learning_rate: float
    ema_kimg: float
    mirror: bool
    symmetry: str
    balanced: bool
    augment: str
    augment_p: float
    augment_pipe: str
    ada_target: float
    ada_kimg: float
    freeze_d: int
    precision: str
    snapshot_kimg: float
    keep_best: int
    stop_on_collapse: bool
    resume_from: str
    seed: int

    @classmethod
    def among(cls, given: Mapping[str, Any]) -> Self:
        """Those of `run`'s options that are the training's."""
        return cls(**{field.name: given[field.name] for field in fields(cls)})

    def identity(self) -> dict[str, Any]:
        """What may not change while a training goes on: its length and how it is computed may."""
        return {key: value for key, value in asdict(self).items() if key not in _MAY_CHANGE}


@dataclass(frozen=True)
class TrainingConfig:
    """A training's resolved settings.

    Attributes:
        kimg: Length in thousand real images.
        batch: Images per iteration, over all processes.
        batch_gpu: Images that a process computes at once.
        mbstd_group: Images whose spread the discriminator measures together.
        channel_base: Feature maps at resolution r are channel_base / r …
        channel_max: … and at most this many.
        mapping_layers: Depth of the generator's mapping network.
        d_mapping_layers: Depth of the discriminator's.
        d_architecture: Of the discriminator: resnet, orig or skip.
        latent_dim: Length of z and w.
        gamma: Weight of R1.
        pl_weight: Weight of path-length regularisation; 0 = off.
        style_mixing: Probability that a call of G mixes two latents.
        learning_rate: Of both networks' Adam.
        ema_kimg: Half-life of the generator's moving average …
        ema_rampup: … and at most this share of the images seen; None = no such limit.
        symmetry: Orientations in which tiles are shown: none, mirror or d4.
        balanced: Whether classes are shown and drawn equally often.
        augment: ada, fixed or noaug.
        augment_p: Probability of augmentations to start from.
        augment_pipe: Which augmentations.
        ada_target: Of r_t.
        ada_kimg: In which p can go from 0 to 1.
        freeze_d: First layers of the discriminator that are not trained.
        precision: fp32, or of the highest resolutions: fp16 or bf16.
        snapshot_kimg: Between snapshots.
        tick_kimg: Between entries of the statistics.
        seed: Of everything random.
    """

    kimg: float
    batch: int
    batch_gpu: int
    mbstd_group: int
    channel_base: int
    channel_max: int
    mapping_layers: int
    d_mapping_layers: int
    d_architecture: str
    latent_dim: int
    gamma: float
    pl_weight: float
    style_mixing: float
    learning_rate: float
    ema_kimg: float
    ema_rampup: float | None
    symmetry: str
    balanced: bool
    augment: str
    augment_p: float
    augment_pipe: str
    ada_target: float
    ada_kimg: float
    freeze_d: int
    precision: str
    snapshot_kimg: float
    tick_kimg: float
    seed: int


def resolve(asked: GanOptions, resolution: int, device: torch.device, processes: int = 1) -> TrainingConfig:
    """Fills in what the preset says for the resolution, and refuses what cannot be meant.

    Raises:
        ConfigError: Out of range, or a batch that cannot be divided.
    """
    _refuse_out_of_range(asked)
    rule = presets.resolve_preset(asked.preset, resolution, processes, asked.batch)
    rule = rule.transferred() if asked.resume_from else rule
    channel_base = asked.channel_base or rule.channel_base
    if channel_base < resolution:
        raise ConfigError(
            f"channel_base is {channel_base}: at {resolution} px that leaves no feature map, so give at least "
            f"{resolution}, better {resolution * 16}."
        )
    if rule.batch < 2:
        raise ConfigError("batch is 1: path-length regularisation takes half a batch, so give at least 2.")
    kimg = asked.kimg or rule.kimg
    settings = TrainingConfig(
        kimg=kimg,
        batch=rule.batch,
        batch_gpu=rule.batch_gpu,
        mbstd_group=min(rule.mbstd_group, max(rule.batch // processes, 1)),
        channel_base=channel_base,
        channel_max=asked.channel_max,
        mapping_layers=asked.mapping_layers or rule.mapping_layers,
        d_mapping_layers=asked.d_mapping_layers,
        d_architecture=rule.d_architecture,
        latent_dim=asked.latent_dim,
        gamma=asked.gamma or rule.gamma,
        pl_weight=rule.pl_weight if asked.pl_weight < 0 else asked.pl_weight,
        style_mixing=rule.style_mixing if asked.style_mixing < 0 else asked.style_mixing,
        learning_rate=asked.learning_rate or rule.learning_rate,
        ema_kimg=asked.ema_kimg or rule.ema_kimg,
        ema_rampup=rule.ema_rampup,
        symmetry=asked.symmetry or ("mirror" if asked.mirror or rule.mirror else "none"),
        balanced=asked.balanced,
        augment=asked.augment,
        augment_p=asked.augment_p,
        augment_pipe=asked.augment_pipe,
        ada_target=asked.ada_target,
        ada_kimg=asked.ada_kimg or rule.ada_kimg,
        freeze_d=asked.freeze_d,
        precision=_precision(asked.precision, device),
        snapshot_kimg=asked.snapshot_kimg or kimg / SNAPSHOTS_BY_DEFAULT,
        tick_kimg=min(TICK_KIMG, kimg / TICKS_AT_LEAST),
        seed=asked.seed,
    )
    return with_micro_batch(settings, asked.batch_gpu, processes)


def for_resume(settings: TrainingConfig, asked: GanOptions, processes: int) -> TrainingConfig:
    """A training's settings, to go on for as long, and divided as, is asked for now."""
    return with_micro_batch(replace(settings, kimg=asked.kimg or settings.kimg), asked.batch_gpu, processes)


def with_micro_batch(settings: TrainingConfig, batch_gpu: int, processes: int, most: int = 0) -> TrainingConfig:
    """The settings with a micro-batch that divides the batch over the processes.

    Args:
        settings: The training's.
        batch_gpu: To be taken as it is; 0 = the largest that divides …
        processes: Of the training.
        most: … up to this, or to the smallest; 0 = the settings' own.

    Raises:
        ConfigError: There is no such micro-batch.
    """
    batch, group = settings.batch, settings.mbstd_group
    if batch % group:
        raise ConfigError(
            f"batch is {batch}: it must be divisible by {group}, the group whose spread the discriminator sees."
        )
    unit = math.lcm(group, 2 if settings.pl_weight else 1)
    fits = [size for size in range(unit, batch + 1, unit) if batch % (size * processes) == 0]
    if batch_gpu and batch_gpu not in fits:
        raise ConfigError(
            f"batch_gpu is {batch_gpu}: of a batch of {batch} over {processes} process(es), in groups of {unit}, it "
            f"can be {', '.join(map(str, fits)) or 'nothing'}."
        )
    smaller = [size for size in fits if size <= max(most or settings.batch_gpu, unit)]
    if not smaller:
        raise ConfigError(
            f"batch is {batch}: it cannot be divided over {processes} process(es) in groups of {unit}, so give a "
            f"multiple of {unit * processes}, or fewer processes."
        )
    return replace(settings, batch_gpu=batch_gpu or smaller[-1])


def networks(settings: TrainingConfig, c_dim: int, resolution: int) -> tuple[Generator, Discriminator]:
    """Generator and discriminator with first values from torch's global random state."""
    is_mixed = settings.precision in _REDUCED
    width: dict[str, Any] = {
        "channel_base": settings.channel_base,
        "channel_max": settings.channel_max,
        "num_fp16_res": presets.MIXED_PRECISION_RESOLUTIONS if is_mixed else 0,
        "conv_clamp": presets.MIXED_PRECISION_CLAMP if is_mixed else None,
        "precision": _REDUCED.get(settings.precision, "float16"),
    }
    z_dim = w_dim = settings.latent_dim
    G = Generator(z_dim, c_dim, w_dim, resolution, mapping_layers=settings.mapping_layers, **width)
    D = Discriminator(
        c_dim,
        resolution,
        architecture=settings.d_architecture,
        mbstd_group_size=settings.mbstd_group,
        mapping_layers=settings.d_mapping_layers,
        freeze_layers=settings.freeze_d,
        **width,
    )
    return G, D


def _refuse_out_of_range(asked: GanOptions) -> None:
    for name, least in (
        *((one, 0) for one in ("kimg", "batch", "batch_gpu", "memory_gb", "channel_base", "mapping_layers")),
        *((one, 0) for one in ("d_mapping_layers", "gamma", "learning_rate", "ema_kimg", "ada_kimg", "freeze_d")),
        *((one, 0) for one in ("snapshot_kimg", "keep_best", "seed")),
        *((one, 1) for one in ("channel_max", "latent_dim")),
        *((one, PRESETS_OWN) for one in ("pl_weight", "style_mixing")),
    ):
        value = getattr(asked, name)
        if not (math.isfinite(value) and value >= least):
            raise ConfigError(f"{name} is {value}: it must be at least {least:g}.")
    if asked.style_mixing > 1:
        raise ConfigError(f"style_mixing is {asked.style_mixing}: it is a probability, so give at most 1.")
    for name, known in (("symmetry", ("", *ORIENTATIONS)), ("augment", ada.MODES), ("precision", PRECISIONS)):
        if (value := getattr(asked, name)) not in known:
            raise ConfigError(f"{name} is {value!r}: it must be one of {', '.join(filter(None, known))}.")


def _precision(asked: str, device: torch.device) -> str:
    if asked == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    if asked == "fp16" and device.type != "cuda":
        raise ConfigError(f"precision is fp16, which only a GPU computes and not {device.type}: give auto or fp32.")
    return asked
