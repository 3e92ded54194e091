"""The resolved configuration of a training: its options, with everything left out filled in by the preset."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch

from components.core.errors import ConfigError
from components.core.options.parse import result_values
from components.core.stylegan2 import Discriminator, Generator, presets
from components.gan_train.options import GanOptions

T = TypeVar("T")

SNAPSHOTS_BY_DEFAULT = 5
TICK_KIMG, MIN_TICKS = 4.0, 40
MIXED_PRECISION_RESOLUTIONS, MIXED_PRECISION_CLAMP = 4, 256.0
_REDUCED = {"fp16": "float16", "bf16": "bfloat16"}
_MAY_CHANGE = ("kimg", "keep_best", "stop_on_collapse", "compile", "dry_run")  # when a training resumes
# Values that stood for "the preset's" in checkpoints written before options could be left out.
_FORMER_DEFAULTS: Mapping[str, Any] = {
    **dict.fromkeys(("batch", "channel_base", "mapping_layers", "gamma", "learning_rate"), 0),
    **dict.fromkeys(("ema_kimg", "ada_kimg", "snapshot_kimg"), 0),
    **dict.fromkeys(("pl_weight", "style_mixing"), -1),
    "resume_from": "",
}


@dataclass(frozen=True)
class TrainingConfig:
    """A training's resolved configuration.

    Attributes:
        kimg: Length of the training, thousands of real images.
        batch: Images per iteration, over all processes.
        batch_gpu: Images that a process computes at once.
        mbstd_group: Images whose spread the discriminator measures together.
        channel_base: Feature maps at resolution r are channel_base / r.
        channel_max: Largest number of feature maps at any resolution.
        mapping_layers: Layers of the generator's mapping network.
        d_mapping_layers: Layers of the discriminator's mapping network.
        d_architecture: Architecture of the discriminator: resnet, orig or skip.
        latent_dim: Length of z and w.
        gamma: Weight of the R1 penalty.
        pl_weight: Weight of path-length regularisation; 0 = off.
        style_mixing: Probability that a call of G mixes two latents, 0..1.
        learning_rate: Adam's learning rate, of both networks.
        ema_kimg: Half-life of the generator's moving average, thousands of images.
        ema_rampup: Largest half-life as a share of the images seen; None = no such limit.
        symmetry: Orientations in which tiles are shown: none, mirror or d4.
        balanced: True where classes are shown and drawn equally often.
        augment: Augmentation mode: ada, fixed or noaug.
        augment_p: Probability of augmentations at the start, 0..1.
        augment_pipe: Name of the augmentations.
        ada_target: Mean sign of the discriminator's output for real tiles at which ADA aims, -1..1.
        ada_kimg: Thousands of images in which p can go from 0 to 1.
        freeze_d: Number of the discriminator's first layers that are not trained.
        precision: Number format of the highest resolutions: fp32, fp16 or bf16.
        snapshot_kimg: Distance between snapshots, thousands of images.
        tick_kimg: Distance between rows of the statistics, thousands of images.
        seed: Seed of everything random.
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


def resolve(
    options: GanOptions, seed: int, resolution: int, device: torch.device, processes: int = 1
) -> TrainingConfig:
    """Fills in the preset's values for the resolution.

    Raises:
        ConfigError: Options that contradict one another, or a batch that cannot be divided.
    """
    preset = presets.resolve_preset(options.preset, resolution, processes, options.batch or 0)
    preset = preset.for_transfer() if options.resume_from else preset
    channel_base = _default(options.channel_base, preset.channel_base)
    if channel_base < resolution:
        raise ConfigError(
            f"channel_base is {channel_base}: at {resolution} px that leaves no feature map, so give at least "
            f"{resolution}, better {resolution * 16}."
        )
    if preset.batch < 2:
        raise ConfigError("batch is 1: path-length regularisation takes half a batch, so give at least 2.")
    kimg = _default(options.kimg, preset.kimg)
    config = TrainingConfig(
        kimg=kimg,
        batch=preset.batch,
        batch_gpu=preset.batch_gpu,
        mbstd_group=min(preset.mbstd_group, max(preset.batch // processes, 1)),
        channel_base=channel_base,
        channel_max=options.channel_max,
        mapping_layers=_default(options.mapping_layers, preset.mapping_layers),
        d_mapping_layers=options.d_mapping_layers,
        d_architecture=preset.d_architecture,
        latent_dim=options.latent_dim,
        gamma=_default(options.gamma, preset.gamma),
        pl_weight=_default(options.pl_weight, preset.pl_weight),
        style_mixing=_default(options.style_mixing, preset.style_mixing),
        learning_rate=_default(options.learning_rate, preset.learning_rate),
        ema_kimg=_default(options.ema_kimg, preset.ema_kimg),
        ema_rampup=preset.ema_rampup,
        symmetry=options.symmetry,
        balanced=options.balanced,
        augment=options.augment,
        augment_p=options.augment_p,
        augment_pipe=options.augment_pipe,
        ada_target=options.ada_target,
        ada_kimg=_default(options.ada_kimg, preset.ada_kimg),
        freeze_d=options.freeze_d,
        precision=_precision(options.precision, device),
        snapshot_kimg=_default(options.snapshot_kimg, kimg / SNAPSHOTS_BY_DEFAULT),
        tick_kimg=min(TICK_KIMG, kimg / MIN_TICKS),
        seed=seed,
    )
    return with_micro_batch(config, options.batch_gpu, processes)


def for_resume(config: TrainingConfig, options: GanOptions, processes: int) -> TrainingConfig:
    """A saved configuration with the length and the micro-batch that the options state now."""
    return with_micro_batch(replace(config, kimg=_default(options.kimg, config.kimg)), options.batch_gpu, processes)


def with_micro_batch(
    config: TrainingConfig, batch_gpu: int | None, processes: int, limit: int | None = None
) -> TrainingConfig:
    """The configuration with a micro-batch that divides the batch over the processes.

    Args:
        config: A training's configuration.
        batch_gpu: Micro-batch to use; None = the largest that divides the batch, up to `limit`.
        processes: Number of processes of the training.
        limit: Largest micro-batch to choose, unless even the smallest is larger; None = the configuration's own.

    Raises:
        ConfigError: The batch cannot be divided like that.
    """
    batch, group = config.batch, config.mbstd_group
    if batch % group:
        raise ConfigError(
            f"batch is {batch}: it must be divisible by {group}, the group whose spread the discriminator measures."
        )
    unit = math.lcm(group, 2 if config.pl_weight else 1)
    sizes = [size for size in range(unit, batch + 1, unit) if batch % (size * processes) == 0]
    if batch_gpu and batch_gpu not in sizes:
        raise ConfigError(
            f"batch_gpu is {batch_gpu}: of a batch of {batch} over {processes} process(es), in groups of {unit}, it "
            f"can be {', '.join(map(str, sizes)) or 'nothing'}."
        )
    smaller = [size for size in sizes if size <= max(limit or config.batch_gpu, unit)]
    if not smaller:
        raise ConfigError(
            f"batch is {batch}: it cannot be divided over {processes} process(es) in groups of {unit}, so give a "
            f"multiple of {unit * processes}, or fewer processes."
        )
    return replace(config, batch_gpu=batch_gpu or smaller[-1])


def resume_identity(options: GanOptions, seed: int) -> dict[str, Any]:
    """Options that must stay the same for a training to resume; its length and its micro-batch may change."""
    values = result_values(options)
    return {**{name: value for name, value in values.items() if name not in _MAY_CHANGE}, "seed": seed}


def upgrade_identity(saved: Mapping[str, Any]) -> dict[str, Any]:
    """The identity in a checkpoint, in today's form.

    Older checkpoints have 0, -1 or '' for an option that was left out, and `mirror` beside `symmetry`.
    """
    if "mirror" not in saved:
        return dict(saved)
    is_mirrored = saved["mirror"] or saved.get("preset") == "published"
    values = {name: value for name, value in saved.items() if _FORMER_DEFAULTS.get(name, ...) != value}
    del values["mirror"]
    return {**values, "symmetry": saved.get("symmetry") or ("mirror" if is_mirrored else "none")}


def networks(config: TrainingConfig, c_dim: int, resolution: int) -> tuple[Generator, Discriminator]:
    """Generator and discriminator, initialised from torch's global random state."""
    size = {"channel_base": config.channel_base, "channel_max": config.channel_max}
    shared: dict[str, Any] = size | mixed_precision(config.precision)
    z_dim = w_dim = config.latent_dim
    G = Generator(z_dim, c_dim, w_dim, resolution, mapping_layers=config.mapping_layers, **shared)
    D = Discriminator(
        c_dim,
        resolution,
        architecture=config.d_architecture,
        mbstd_group_size=config.mbstd_group,
        mapping_layers=config.d_mapping_layers,
        freeze_layers=config.freeze_d,
        **shared,
    )
    return G, D


def mixed_precision(precision: str) -> dict[str, Any]:
    """The networks' arguments for a number format: fp32, or fp16 or bf16 with a clamp on activations."""
    if precision not in _REDUCED:
        return {"num_fp16_res": 0, "conv_clamp": None}
    clamp = {"num_fp16_res": MIXED_PRECISION_RESOLUTIONS, "conv_clamp": MIXED_PRECISION_CLAMP}
    return {**clamp, "precision": _REDUCED[precision]}


def _default(value: T | None, default: T) -> T:
    return default if value is None else value


def _precision(name: str, device: torch.device) -> str:
    if name == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    if name == "fp16" and device.type != "cuda":
        raise ConfigError(f"precision is fp16, which only a GPU computes and not {device.type}: give auto or fp32.")
    return name
