"""What a study costs before it is started: GPU-hours, bytes kept, node disk, stage by stage.

An estimate from published and stated rates, for one A100; a measured rate takes its place (`sec_per_kimg` stands in the
record of every GAN training). Trainings that stop early cost less, so what is printed is the most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.core.errors import ConfigError
from components.core.protocol.study_plan import ARM_SPECS, ARMS, BINARY, CONTROL, DIAGNOSIS, check_arms
from pipelines.study.compile import executor_tasks
from pipelines.study.resources import RESOURCES

# Seconds of one A100 per thousand images, StyleGAN2-ADA in mixed precision, as its authors published them
SEC_PER_KIMG = {128: 6.79, 256: 12.53, 512: 41.06, 1024: 90.4}
FORWARD_SHARE = 1 / 13  # of a training image's work that one pass through G is
FEATURES_PER_S = 1000.0  # images through a feature network
LEARNT_PER_S = {"efficientnet_lite0": 1500.0}  # images through a classifier's training step, at 224 px
OTHER_LEARNT_PER_S = 500.0  # ResNet-101's size
GENERATOR_BYTES, CLASSIFIER_BYTES = 120e6, {"efficientnet_lite0": 14e6}
OTHER_CLASSIFIER_BYTES = 170e6
TILES = 20_000  # of the study, where nobody says
_SNAPSHOTS = 5
_BYTES_PER_PIXEL = 3


@dataclass(frozen=True)
class StageCost:
    """Of one stage, all its tasks together; disk is one task's.

    Attributes:
        stage: Its name.
        tasks: How many.
        gpu_hours: Of one A100.
        kept_bytes: What stays in the store.
        disk_bytes: Inputs and outputs of one task on its node.
    """

    stage: str
    tasks: int
    gpu_hours: float
    kept_bytes: float
    disk_bytes: float


@dataclass(frozen=True)
class StudyCost:
    """A study's stages and what their number comes from."""

    stages: list[StageCost]
    headline: str

    @property
    def gpu_hours(self) -> float:
        """Of all stages."""
        return sum(one.gpu_hours for one in self.stages)

    def as_text(self) -> str:
        """A table for people."""
        rows = [f"{'stage':14} {'tasks':>5} {'GPU-hours':>10} {'kept':>9} {'node disk':>10}"]
        for one in self.stages:
            rows.append(
                f"{one.stage:14} {one.tasks:5d} {one.gpu_hours:10,.1f} {_size(one.kept_bytes):>9} "
                f"{_size(one.disk_bytes):>10}"
            )
        kept, disk = sum(one.kept_bytes for one in self.stages), max(one.disk_bytes for one in self.stages)
        tasks = sum(one.tasks for one in self.stages)
        rows.append(f"{'at most':14} {tasks:5d} {self.gpu_hours:10,.1f} {_size(kept):>9} {_size(disk):>10}")
        return "\n".join([self.headline, *rows])


def study_cost(values: Mapping[str, Any], tiles: int = 0, sec_per_kimg: float = 0.0) -> StudyCost:
    """The most that a study of these parameters costs.

    Args:
        values: All of the pipeline's parameters.
        tiles: Of the study; 0 = 20 000 are assumed.
        sec_per_kimg: GPU-seconds per thousand images of GAN training as measured; 0 = an A100's as published.
    """
    arms, folds = check_arms(list(values["arms"])), int(values["folds"])
    side, given = int(values["resolution"] or values["tile_px"]), tiles
    tiles = tiles or TILES
    counts = executor_tasks(arms, folds)
    tile_bytes = side * side * _BYTES_PER_PIXEL
    train = tiles * (1 - values["val_fraction"])
    pace = sec_per_kimg or _published(side)
    trainings = counts["gan_train"]
    drawn = {
        scheme: train * sum(ARM_SPECS[arm].generated_per_tile for arm in arms if ARMS.get(arm) == scheme)
        for scheme in (BINARY, DIAGNOSIS)
    }
    chains = folds + 1
    drawn_total = chains * sum(drawn.values())
    snapshots = 1 + (round(values["kimg"] / values["snapshot_kimg"]) if values["snapshot_kimg"] else _SNAPSHOTS)
    draw_s = pace / 1000 * FORWARD_SHARE + 1 / FEATURES_PER_S
    classifiers = chains * len(arms) * values["classifier_seeds"]
    backbone = values["backbone"]
    shown = chains * values["classifier_seeds"] * sum(_shown(arm, train) for arm in arms) * values["epochs"]
    learn_s = (values["input_px"] / 224) ** 2 / LEARNT_PER_S.get(backbone, OTHER_LEARNT_PER_S)
    classifier_bytes = CLASSIFIER_BYTES.get(backbone, OTHER_CLASSIFIER_BYTES)
    most_drawn = max(drawn.values())
    set_bytes, packed = tiles * tile_bytes, tiles * tile_bytes
    hours = {
        "gan_train": trainings * values["kimg"] * pace / 3600,
        "fid_select": trainings * snapshots * values["selection_images"] * draw_s / 3600,
        "generate": drawn_total * draw_s / 3600,
        "classifier_cv": shown * learn_s / 3600,
        "external_eval": len(arms) * values["classifier_seeds"] * tiles / FEATURES_PER_S / 3600,
        "umap": 2 * tiles / FEATURES_PER_S / 3600,
    }
    kept = {
        "tile": 2 * set_bytes,
        "pack": counts["pack"] * packed,
        "gan_train": trainings * snapshots * GENERATOR_BYTES,
        "fid_select": trainings * GENERATOR_BYTES,
        "generate": drawn_total * tile_bytes,
        "classifier_cv": classifiers * classifier_bytes,
    }
    disk = {
        "tile": 2 * set_bytes,
        "pack": set_bytes + packed,
        "gan_train": packed + snapshots * GENERATOR_BYTES,
        "fid_select": packed + (snapshots + 1) * GENERATOR_BYTES,
        "generate": packed + GENERATOR_BYTES + most_drawn * tile_bytes,
        "classifier_cv": set_bytes + most_drawn * tile_bytes + classifiers / chains * classifier_bytes,
        "external_eval": set_bytes + classifiers / chains * classifier_bytes,
        "umap": 2 * set_bytes + sum(drawn.values()) * tile_bytes,
        "report": 2 * set_bytes + sum(drawn.values()) * tile_bytes,
    }
    headline = (
        f"{trainings} generator trainings of {values['kimg']:,g} kimg at {side} px, {pace:.4g} GPU-seconds per kimg "
        f"({'as measured' if sec_per_kimg else 'A100, published'}); {tiles:,} tiles{'' if given else ' assumed'}"
    )
    stages = [
        StageCost(name, counts[name], hours.get(name, 0.0), kept.get(name, 0.0), disk.get(name, 0.0))
        for name in RESOURCES
        if name in counts
    ]
    return StudyCost(stages, headline)


def refuse_beyond(cost: StudyCost, max_gpu_hours: float) -> None:
    """Refuses a study beyond a limit; 0 = none.

    Raises:
        ConfigError: With both numbers.
    """
    if max_gpu_hours and cost.gpu_hours > max_gpu_hours:
        raise ConfigError(
            f"The study is estimated to take {cost.gpu_hours:,.1f} GPU-hours, more than --max-gpu-hours "
            f"{max_gpu_hours:g}: lower --kimg, --folds or --arms, or raise the limit."
        )


def _published(side_px: int) -> float:
    """Of the nearest larger resolution that there is a number for; beyond the largest, by the pixels."""
    larger = [rate for side, rate in SEC_PER_KIMG.items() if side >= side_px]
    return larger[0] if larger else SEC_PER_KIMG[1024] * (side_px / 1024) ** 2


def _shown(arm: str, train: float) -> float:
    """Tiles that an arm's classifier is shown in an epoch."""
    return train * (1 + ARM_SPECS[arm.removesuffix(CONTROL)].generated_per_tile)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""
