"""What a study costs before it is started: GPU-hours, stored bytes and node disk, stage by stage.

An estimate from published and stated rates, for one A100; a measured rate takes its place (`sec_per_kimg` is in the
record of every GAN training). Trainings that stop early cost less, so what is printed is the upper bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.core.errors import ConfigError
from components.core.protocol.study_plan import ARM_SPECS, BINARY, CONTROL, DIAGNOSIS, check_arms
from pipelines.study.compile import executor_tasks
from pipelines.study.resources import RESOURCES

# Seconds of one A100 per thousand images, StyleGAN2-ADA in mixed precision, as its authors published them
SEC_PER_KIMG = {128: 6.79, 256: 12.53, 512: 41.06, 1024: 90.4}
FORWARD_SHARE = 1 / 13  # of a training image's work that one pass through G is
FEATURES_PER_S = 1000.0  # images through a feature network
TRAINED_PER_S = {"efficientnet_lite0": 1500.0}  # images through a classifier's training step, at 224 px
OTHER_TRAINED_PER_S = 500.0  # ResNet-101's size
GENERATOR_BYTES, CLASSIFIER_BYTES = 120e6, {"efficientnet_lite0": 14e6}
OTHER_CLASSIFIER_BYTES = 170e6
TILES = 20_000  # of the study, unless stated
_SNAPSHOTS = 5
_BYTES_PER_PIXEL = 3


@dataclass(frozen=True)
class StageCost:
    """Cost of one stage, all its tasks together; disk is one task's.

    Attributes:
        stage: Name of the stage.
        tasks: Number of its tasks.
        gpu_hours: Hours of one A100.
        stored_bytes: Bytes that stay in the store.
        disk_bytes: Inputs and outputs of one task on its node.
    """

    stage: str
    tasks: int
    gpu_hours: float
    stored_bytes: float
    disk_bytes: float


@dataclass(frozen=True)
class StudyCost:
    """Costs of a study's stages, and the numbers behind them in a sentence."""

    stages: list[StageCost]
    headline: str

    @property
    def gpu_hours(self) -> float:
        """Hours of one A100, of all stages."""
        return sum(one.gpu_hours for one in self.stages)

    def as_text(self) -> str:
        """A table for people."""
        rows = [f"{'stage':14} {'tasks':>5} {'GPU-hours':>10} {'stored':>9} {'node disk':>10}"]
        for one in self.stages:
            rows.append(
                f"{one.stage:14} {one.tasks:5d} {one.gpu_hours:10,.1f} {_size(one.stored_bytes):>9} "
                f"{_size(one.disk_bytes):>10}"
            )
        stored, disk = sum(one.stored_bytes for one in self.stages), max(one.disk_bytes for one in self.stages)
        tasks = sum(one.tasks for one in self.stages)
        rows.append(f"{'at most':14} {tasks:5d} {self.gpu_hours:10,.1f} {_size(stored):>9} {_size(disk):>10}")
        return "\n".join([self.headline, *rows])


@dataclass(frozen=True)
class _Factors:
    """The numbers that costs are products of.

    Attributes:
        groups: Group -> its options.
        tasks: Stage -> its tasks.
        arms: The arms.
        tiles: Tiles of the study.
        kimg: Length of a GAN training, thousands of images.
        pace: GPU-seconds per thousand images of GAN training.
        side_px: Side of a tile.
    """

    groups: Mapping[str, Any]
    tasks: Mapping[str, int]
    arms: list[str]
    tiles: int
    kimg: float
    pace: float
    side_px: int

    @property
    def folds(self) -> int:
        """Folds, the one of all patients included."""
        return int(self.groups["split"].folds) + 1

    @property
    def train_tiles(self) -> float:
        """Real training tiles of a fold."""
        return float(self.tiles * (1 - self.groups["split"].val_fraction))

    @property
    def snapshots(self) -> int:
        """Snapshots of a GAN training."""
        distance = self.groups["gan"].snapshot_kimg
        return 1 + (round(self.kimg / distance) if distance else _SNAPSHOTS)

    @property
    def synthetic_tiles(self) -> dict[str, float]:
        """Scheme -> generated tiles of a fold."""
        specs = [ARM_SPECS[arm] for arm in self.arms if arm in ARM_SPECS]
        return {
            scheme: self.train_tiles * sum(spec.generated_per_tile for spec in specs if spec.scheme == scheme)
            for scheme in (BINARY, DIAGNOSIS)
        }

    @property
    def classifiers(self) -> int:
        """Classifiers of a fold."""
        return len(self.arms) * int(self.groups["split"].classifier_seeds)

    @property
    def tile_bytes(self) -> float:
        """Bytes of a tile."""
        return self.side_px * self.side_px * _BYTES_PER_PIXEL

    @property
    def classifier_bytes(self) -> float:
        """Bytes of a classifier."""
        return CLASSIFIER_BYTES.get(self.groups["classifier"].backbone, OTHER_CLASSIFIER_BYTES)


def study_cost(groups: Mapping[str, Any], tiles: int = 0, sec_per_kimg: float = 0.0) -> StudyCost:
    """The upper bound of what a study costs.

    Args:
        groups: Group -> its options, as `check_groups` returns them.
        tiles: Number of tiles of the study; 0 = 20 000 are assumed.
        sec_per_kimg: GPU-seconds per thousand images of GAN training as measured; 0 = an A100's as published.
    """
    arms = check_arms(list(groups["split"].arms))
    side_px = int(groups["tile"].resolution or groups["tile"].tile_px)
    factors = _Factors(
        groups,
        executor_tasks(arms, groups["split"].folds),
        arms,
        tiles or TILES,
        _training_kimg(groups["gan"], side_px),
        sec_per_kimg or _published_pace(side_px),
        side_px,
    )
    hours, stored, disk = _gpu_hours(factors), _store_bytes(factors), _disk_bytes(factors)
    headline = (
        f"{factors.tasks['gan_train']} generator trainings of {factors.kimg:,g} kimg at {side_px} px, "
        f"{factors.pace:.4g} GPU-seconds per kimg ({'as measured' if sec_per_kimg else 'A100, published'}); "
        f"{factors.tiles:,} tiles{'' if tiles else ' assumed'}"
    )
    stages = [
        StageCost(name, factors.tasks[name], hours.get(name, 0.0), stored.get(name, 0.0), disk.get(name, 0.0))
        for name in RESOURCES
        if name in factors.tasks
    ]
    return StudyCost(stages, headline)


def _gpu_hours(factors: _Factors) -> dict[str, float]:
    """Stage -> hours of one A100."""
    classifier = factors.groups["classifier"]
    trainings, seeds = factors.tasks["gan_train"], factors.groups["split"].classifier_seeds
    draw_s = factors.pace / 1000 * FORWARD_SHARE + 1 / FEATURES_PER_S
    step_s = (classifier.input_px / 224) ** 2 / TRAINED_PER_S.get(classifier.backbone, OTHER_TRAINED_PER_S)
    epoch_tiles = sum(_epoch_tiles(arm, factors.train_tiles) for arm in factors.arms)
    seconds = {
        "gan_train": trainings * factors.kimg * factors.pace,
        "fid_select": trainings * factors.snapshots * factors.groups["selection"].images * draw_s,
        "generate": factors.folds * sum(factors.synthetic_tiles.values()) * draw_s,
        "classifier_cv": factors.folds * seeds * epoch_tiles * classifier.epochs * step_s,
        "external_eval": factors.classifiers * factors.tiles / FEATURES_PER_S,
        "umap": 2 * factors.tiles / FEATURES_PER_S,
    }
    return {stage: value / 3600 for stage, value in seconds.items()}


def _store_bytes(factors: _Factors) -> dict[str, float]:
    """Stage -> bytes that stay in the store, of all its tasks."""
    set_bytes, trainings = factors.tiles * factors.tile_bytes, factors.tasks["gan_train"]
    return {
        "tile": 2 * set_bytes,
        "pack": factors.tasks["pack"] * set_bytes,
        "gan_train": trainings * factors.snapshots * GENERATOR_BYTES,
        "fid_select": trainings * GENERATOR_BYTES,
        "generate": factors.folds * sum(factors.synthetic_tiles.values()) * factors.tile_bytes,
        "classifier_cv": factors.folds * factors.classifiers * factors.classifier_bytes,
    }


def _disk_bytes(factors: _Factors) -> dict[str, float]:
    """Stage -> bytes of one task's inputs and outputs on its node."""
    set_bytes = factors.tiles * factors.tile_bytes
    generated_bytes = {scheme: count * factors.tile_bytes for scheme, count in factors.synthetic_tiles.items()}
    largest, every = max(generated_bytes.values()), sum(generated_bytes.values())
    classifiers = factors.classifiers * factors.classifier_bytes
    return {
        "tile": 2 * set_bytes,
        "pack": 2 * set_bytes,
        "gan_train": set_bytes + factors.snapshots * GENERATOR_BYTES,
        "fid_select": set_bytes + (factors.snapshots + 1) * GENERATOR_BYTES,
        "generate": set_bytes + GENERATOR_BYTES + largest,
        "classifier_cv": set_bytes + largest + classifiers,
        "external_eval": set_bytes + classifiers,
        "umap": 2 * set_bytes + every,
        "report": 2 * set_bytes + every,
    }


def _training_kimg(options: Any, side_px: int) -> float:
    """Length of a GAN training, the preset's where the options leave it out."""
    if options.kimg is not None:
        return float(options.kimg)
    from components.core.stylegan2.presets import resolve_preset

    return float(resolve_preset(options.preset, side_px).kimg)


def refuse_beyond(cost: StudyCost, max_gpu_hours: float) -> None:
    """Refuses a study beyond a limit.

    Args:
        cost: The study's cost.
        max_gpu_hours: Largest number of GPU-hours; 0 = no limit.

    Raises:
        ConfigError: With both numbers.
    """
    if max_gpu_hours and cost.gpu_hours > max_gpu_hours:
        raise ConfigError(
            f"The study is estimated to take {cost.gpu_hours:,.1f} GPU-hours, more than --max-gpu-hours "
            f"{max_gpu_hours:g}: lower --gan.kimg, --split.folds or --split.arms, or raise the limit."
        )


def _published_pace(side_px: int) -> float:
    """GPU-seconds per kimg of the next larger resolution with a published number; above the largest, by pixels."""
    larger = [rate for side, rate in SEC_PER_KIMG.items() if side >= side_px]
    return larger[0] if larger else SEC_PER_KIMG[1024] * (side_px / 1024) ** 2


def _epoch_tiles(arm: str, train_tiles: float) -> float:
    """Tiles of an epoch of an arm's classifier."""
    return train_tiles * (1 + ARM_SPECS[arm.removesuffix(CONTROL)].generated_per_tile)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""
