"""One training: Adam, cross-entropy, plateau schedule, early stopping; the weights of lowest validation loss stay.

Every draw follows from (seed, epoch), so a killed training resumes from the end of an epoch bit-equal.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score, roc_curve
from torch import nn

from components.classifier_cv.augmentation import SQUARE, augment, augmentation_draws, tile_order
from components.classifier_cv.checkpoints import TrainingCheckpoints, TrainingState
from components.classifier_cv.data import ArmTiles
from components.classifier_cv.options import ClassifierOptions
from components.core.classifier.predictions import logits, positive_probability
from components.core.errors import ConfigError, TrainingError
from components.core.features.backbones import Backbone
from components.core.runtime.progress import track
from components.core.stain.normalization import AUGMENT

PLATEAU_EPOCHS, PLATEAU_FACTOR = 10, 0.5
BATCH_NORM_MOMENTUM = 0.1


@dataclass(frozen=True)
class TrainingResult:
    """A finished training; the weights are in its network.

    Attributes:
        history: A row per epoch: epoch, learning_rate, train_loss, val_loss, val_auroc.
        best_epoch: Epoch whose weights stayed.
        val_auroc: AUROC over the validation tiles with these weights, 0..1; None = one class only.
        threshold: Probability from which a tile is predicted as class 1.
    """

    history: list[dict[str, Any]]
    best_epoch: int
    val_auroc: float | None
    threshold: float


def train_classifier(
    backbone: Backbone,
    data: ArmTiles,
    options: ClassifierOptions,
    seed: int,
    threshold: str,
    what: str,
    *,
    published: bool = False,
    checkpoints: TrainingCheckpoints | None = None,
    log_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> TrainingResult:
    """Trains the backbone's module in place.

    Args:
        backbone: Network whose module is on the tiles' device.
        data: Tiles of the arm.
        options: Options of the stage.
        seed: Seed of order, augmentation and dropout.
        threshold: Threshold rule, "0.5" or "youden".
        what: Name of the training in the progress line.
        published: Whether the network is in evaluation mode after the first step of each epoch, as Thy-GAN's was:
            validation within the epoch left it there.
        checkpoints: Checkpoints to resume from and to write; None = none.
        log_epoch: Called with each epoch's row of the history.

    Raises:
        TrainingError: The loss is not finite.
    """
    device = data.training.labels.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        history, best_epoch = train_epochs(
            backbone, data, options, seed, what, published, checkpoints or TrainingCheckpoints(), log_epoch
        )
    outputs = logits(backbone, data.validation.images, options.input_px, options.batch, device)
    scores, truth = positive_probability(outputs), data.validation.labels.cpu().numpy()
    return TrainingResult(history, best_epoch, auroc(truth, scores), choose_threshold(threshold, truth, scores))


def train_epochs(
    backbone: Backbone,
    data: ArmTiles,
    options: ClassifierOptions,
    seed: int,
    what: str,
    published: bool,
    checkpoints: TrainingCheckpoints,
    log_epoch: Callable[[dict[str, Any]], None] | None,
) -> tuple[list[dict[str, Any]], int]:
    """The epochs of `train_classifier`, which describes the arguments; it draws from the global generator.

    Returns:
        The history, and the epoch whose weights stayed.
    """
    module, validation = backbone.module.to(memory_format=torch.channels_last), data.validation
    _raise_momentum(module)
    optimizer = torch.optim.Adam(
        module.parameters(), options.learning_rate, weight_decay=options.weight_decay, fused=True
    )
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=PLATEAU_FACTOR, patience=PLATEAU_EPOCHS)
    history: list[dict[str, Any]] = []
    best, best_epoch, best_weights = float("inf"), 0, {}
    if state := checkpoints.latest():
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimiser"])
        plateau.load_state_dict(state["plateau"])
        history, best, best_epoch, best_weights = (state[key] for key in ("history", "best", "best_epoch", "weights"))

    def training_state() -> TrainingState:
        return {
            "module": module.state_dict(),
            "optimiser": optimizer.state_dict(),
            "plateau": plateau.state_dict(),
            "history": history,
            "best": best,
            "best_epoch": best_epoch,
            "weights": best_weights,
        }

    def is_over() -> bool:
        return len(history) >= options.epochs or len(history) - best_epoch >= options.patience

    for epoch in track(range(len(history) + 1, options.epochs + 1), what, options.epochs - len(history), "epochs"):
        if is_over():
            break
        learning_rate = optimizer.param_groups[0]["lr"]
        train_loss = _train_epoch(backbone, data, optimizer, options, seed, epoch, published)
        outputs = logits(backbone, validation.images, options.input_px, options.batch, validation.images.device)
        val_loss = float(F.cross_entropy(outputs, validation.labels))
        if not np.isfinite(train_loss + val_loss):
            raise TrainingError(f"{what}: the loss of epoch {epoch} is not finite; use a lower learning rate.")
        val_auroc = auroc(validation.labels.cpu().numpy(), positive_probability(outputs))
        losses = {"train_loss": train_loss, "val_loss": val_loss, "val_auroc": val_auroc}
        history.append({"epoch": epoch, "learning_rate": learning_rate, **losses})
        if log_epoch:
            log_epoch(history[-1])
        plateau.step(val_loss)
        if val_loss < best:
            best, best_epoch, best_weights = val_loss, epoch, copy.deepcopy(module.state_dict())
        checkpoints.save_if_due(training_state, epoch, is_over())
    module.load_state_dict(best_weights)
    return history, best_epoch


def _train_epoch(
    backbone: Backbone,
    data: ArmTiles,
    optimizer: torch.optim.Optimizer,
    options: ClassifierOptions,
    seed: int,
    epoch: int,
    published: bool,
) -> float:
    """One pass over the training tiles; returns the mean loss per tile."""
    training, device = data.training, data.training.labels.device
    stain = data.stain if data.stain and data.stain.use == AUGMENT else None
    torch.manual_seed(seed * 100_003 + epoch)  # dropout draws from the global generator
    noise = torch.Generator(device).manual_seed(seed * 100_003 + epoch)
    draws = augmentation_draws(len(training.labels), seed, epoch)
    images = training.epoch_images(draws[:, SQUARE])  # [N, 3, H, W] uint8
    references = images[: training.real]
    steps = -(-len(draws) // options.batch)
    total = torch.zeros((), device=device)
    backbone.module.train()
    for rows in tile_order(draws).tensor_split(steps):  # even batches: a batch of one tile has no batch statistics
        rows_on_device = rows.to(device)
        tiles = augment(images[rows_on_device], draws[rows], references, noise, stain)  # [n, 3, H, W] uint8
        inputs = backbone.prepare(tiles, options.input_px).contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(backbone.module(inputs), training.labels[rows_on_device])
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        total += loss.detach() * len(rows)
        if published:
            backbone.module.eval()
    return float(total) / len(draws)


def _raise_momentum(module: nn.Module) -> None:
    """Lets batch statistics follow within tens of steps; EfficientNet's momentum of 0.01 fits a million images."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = max(layer.momentum or 0.0, BATCH_NORM_MOMENTUM)


def auroc(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve over tiles, 0..1; None where there is one class."""
    return float(roc_auc_score(truth, scores)) if len(set(truth.tolist())) == 2 else None


def choose_threshold(rule: str, truth: np.ndarray, scores: np.ndarray) -> float:
    """The probability from which a tile is predicted as class 1.

    Args:
        rule: "0.5", or "youden": the largest sensitivity + specificity on these tiles, 0.5 where they have one class.
        truth: Classes [N].
        scores: Probabilities of class 1 [N], 0..1.

    Raises:
        ConfigError: An unknown rule.
    """
    if rule not in ("0.5", "youden"):
        raise ConfigError(f"The threshold rule {rule!r} of the study plan is not known: use 0.5 or youden.")
    if rule == "0.5" or auroc(truth, scores) is None:
        return 0.5
    false_positive, true_positive, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    return float(thresholds[1:][np.argmax((true_positive - false_positive)[1:])])
