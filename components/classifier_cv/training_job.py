"""The trainings of a task: one per arm and seed, from the fold's tiles to frozen weights and predictions."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from components.classifier_cv.checkpoints import CheckpointFolder, TrainingCheckpoints
from components.classifier_cv.data import ArmTiles, FoldTiles, arm_tiles
from components.classifier_cv.metrics import EpochLogger
from components.classifier_cv.options import ClassifierOptions
from components.classifier_cv.train import TrainingResult, train_classifier
from components.classifier_cv.training_sets import ArmAdditions
from components.core.classifier.frozen import FrozenClassifier, save_weights
from components.core.classifier.predictions import logits, positive_probability, prediction_rows
from components.core.features.backbones import build_backbone
from components.core.io.atomic_files import file_sha256


@dataclass(frozen=True)
class TrainingJob:
    """Inputs and options that all trainings of a task share.

    Attributes:
        tiles: The fold's tiles.
        additions: Arm -> the tiles that it adds.
        marks: Arm -> mark of its numbers, without the note of its stain fit.
        fold: Fold of the plan.
        scheme: Label scheme of the task.
        study: SHA-256 of the study plan.
        threshold: Threshold rule of the study plan.
        options: Options of the stage.
        published: Whether training and test follow Thy-GAN's way.
        weights_dir: Folder or bucket of ImageNet weights; '' = the usual places.
        seed: Seed of everything but the classifiers.
        checkpoints: Folder of the checkpoints.
        folder: Folder of the frozen weights.
    """

    tiles: FoldTiles
    additions: dict[str, ArmAdditions]
    marks: dict[str, str]
    fold: str
    scheme: str
    study: str
    threshold: str
    options: ClassifierOptions
    published: bool
    weights_dir: str
    seed: int
    checkpoints: CheckpointFolder
    folder: Path


@dataclass(frozen=True)
class JobResult:
    """The results of one training.

    Attributes:
        classifier: The frozen classifier.
        training: History and threshold.
        predictions: Prediction rows of the test tiles.
        unstained: Number of tiles that could not be normalised.
        weights_sha256: SHA-256 of the file of the initial weights; '' = random ones.
    """

    classifier: FrozenClassifier
    training: TrainingResult
    predictions: pd.DataFrame
    unstained: int
    weights_sha256: str


class ClassifierTrainer:
    """Runs trainings one after the other on one device; the tiles of an arm stay there for its next seed."""

    def __init__(self, job: TrainingJob, device: torch.device) -> None:
        self._job, self._device = job, device
        self._arm = ""
        self._tiles: ArmTiles | None = None

    def train(self, arm: str, seed: int) -> JobResult:
        """Trains one classifier.

        Args:
            arm: Name of the arm.
            seed: Classifier seed.
        """
        job, options = self._job, self._job.options
        data = self._load_tiles(arm)
        network = build_backbone(
            options.backbone, num_classes=2, pretrained=options.pretrained, weights_dir=job.weights_dir, seed=seed
        )
        network.check_input_px(options.input_px)
        network.module.to(self._device)
        with TrainingCheckpoints(job.checkpoints, f"{arm}-seed{seed}", self._device) as checkpoints:
            training = train_classifier(
                network,
                data,
                options,
                seed,
                job.threshold,
                f"{job.scheme} · {job.fold} · {arm} · seed {seed}",
                published=job.published,
                checkpoints=checkpoints,
                log_epoch=EpochLogger(arm, seed, len(data.training.labels)).log,
            )
        file = save_weights(network, job.folder, f"{arm}/seed{seed}.safetensors")
        classifier = FrozenClassifier(
            arm=arm,
            seed=seed,
            fold=job.fold,
            scheme=job.scheme,
            file=file,
            sha256=file_sha256(job.folder / file),
            backbone=options.backbone,
            input_px=options.input_px,
            resolution=job.tiles.resolution,
            mpp=job.tiles.mpp,
            threshold=training.threshold,
            stain=data.stain.to_dict() if data.stain else None,
            mark="; ".join(filter(None, (job.marks[arm], data.stain.note if data.stain else ""))),
            study=job.study,
        )
        outputs = logits(network, data.test, options.input_px, options.batch, self._device)
        predictions = prediction_rows(job.tiles.parts["test"].table, positive_probability(outputs), classifier)
        return JobResult(classifier, training, predictions, data.unstained, network.weights_sha256)

    def _load_tiles(self, arm: str) -> ArmTiles:
        if self._arm != arm or self._tiles is None:
            self._tiles = None  # so that two arms' tiles are never on the device together
            job = self._job
            self._tiles = arm_tiles(job.tiles, job.additions[arm], job.seed, self._device, job.options.stain_method)
            self._arm = arm
        return self._tiles
