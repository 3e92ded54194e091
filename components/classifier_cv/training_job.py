"""One training as a piece of work: an arm and a seed, from the fold's tiles to frozen weights and told test tiles."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from components.classifier_cv.checkpoints import Kept
from components.classifier_cv.data import ArmTiles, FoldTiles, arm_tiles
from components.classifier_cv.metrics import dials
from components.classifier_cv.train import Keeper, Settings, Trained, train
from components.classifier_cv.training_sets import Arm
from components.core.classifier.frozen import Frozen, save_weights
from components.core.classifier.predictions import logits, positive, prediction_rows
from components.core.features.backbones import build_backbone
from components.core.io.atomic_files import file_sha256


@dataclass(frozen=True)
class TrainingJob:
    """What all trainings of a task share.

    Attributes:
        tiles: The fold's.
        arms: By name.
        marks: Arm -> what its numbers carry, without its stain's note.
        fold: Of the plan.
        scheme: Of the chain.
        study: Digest of the study plan.
        threshold: Its rule.
        settings: How to train.
        backbone: Name of the network.
        pretrained: Whether it starts from ImageNet weights.
        weights_dir: Folder of these; '' = where they are usually found.
        stain_method: Of the arm stain-norm.
        seed: Of what is not a classifier's.
        kept: Where trainings go on from.
        folder: Where frozen weights go.
    """

    tiles: FoldTiles
    arms: dict[str, Arm]
    marks: dict[str, str]
    fold: str
    scheme: str
    study: str
    threshold: str
    settings: Settings
    backbone: str
    pretrained: bool
    weights_dir: str
    stain_method: str
    seed: int
    kept: Kept
    folder: Path


@dataclass(frozen=True)
class JobResult:
    """What one training gives.

    Attributes:
        frozen: The classifier.
        trained: How it went.
        told: Prediction rows of the test tiles.
        unstained: Tiles that could not be normalised.
        weights_sha256: Of the file of the weights it started from; '' where they were random.
    """

    frozen: Frozen
    trained: Trained
    told: pd.DataFrame
    unstained: int
    weights_sha256: str


class Worker:
    """Trains one after the other on one device; an arm's tiles stay for its next seed."""

    def __init__(self, work: TrainingJob, device: torch.device) -> None:
        self._work, self._device = work, device
        self._arm = ""
        self._tiles: ArmTiles | None = None

    def train(self, name: str, number: int) -> JobResult:
        """The arm `name` with the classifier seed `number`."""
        work = self._work
        data = self._tiles_of(name)
        network = build_backbone(
            work.backbone, num_classes=2, pretrained=work.pretrained, weights_dir=work.weights_dir, seed=number
        )
        network.check_input_px(work.settings.input_px)
        network.module.to(self._device)
        what = f"{work.scheme} · {work.fold} · {name} · seed {number}"
        place = f"{name}-seed{number}"
        show = dials(name, number, len(data.training.labels))
        keeper = Keeper(lambda: work.kept.read(place), lambda state: work.kept.write(place, state), work.kept.minutes)
        trained = train(network, data, work.settings, number, work.threshold, what, keeper, show)
        file = save_weights(network, work.folder, f"{name}/seed{number}.safetensors")
        frozen = Frozen(
            arm=name,
            seed=number,
            fold=work.fold,
            scheme=work.scheme,
            file=file,
            sha256=file_sha256(work.folder / file),
            backbone=work.backbone,
            input_px=work.settings.input_px,
            resolution=work.tiles.resolution,
            mpp=work.tiles.mpp,
            threshold=trained.threshold,
            stain=data.stain.to_dict() if data.stain else None,
            mark="; ".join(filter(None, (work.marks[name], data.stain.note if data.stain else ""))),
            study=work.study,
        )
        answers = logits(network, data.test, work.settings.input_px, work.settings.batch, self._device)
        told = prediction_rows(work.tiles.parts["test"].table, positive(answers), frozen)
        return JobResult(frozen, trained, told, data.unstained, network.weights_sha256)

    def _tiles_of(self, name: str) -> ArmTiles:
        if self._arm != name or self._tiles is None:
            self._tiles = None  # so that two arms' tiles never lie on the device together
            self._tiles = arm_tiles(
                self._work.tiles, self._work.arms[name], self._work.seed, self._device, self._work.stain_method
            )
            self._arm = name
        return self._tiles
