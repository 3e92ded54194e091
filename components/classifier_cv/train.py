"""One training: Adam, cross-entropy, plateau schedule, early stop; the best weights on real validation tiles stay.

Every draw follows from (seed, epoch), so a training that was killed goes on from the end of an epoch as if it had not
been.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score, roc_curve
from torch import nn

from components.classifier_cv.augmentation import SQUARE, augment, draw, order
from components.classifier_cv.data import ArmTiles
from components.core.classifier.predictions import logits, positive
from components.core.errors import ConfigError, TrainingError
from components.core.features.backbones import Backbone
from components.core.runtime.progress import track
from components.core.stain.normalization import AUGMENT

PLATEAU_EPOCHS, PLATEAU_FACTOR = 10, 0.5
BATCH_NORM_MOMENTUM = 0.1

State = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        input_px: Side that tiles are resized to.
        epochs: At most.
        patience: Epochs without a lower validation loss before it stops.
        batch: Tiles per step, at most.
        learning_rate: Adam's.
        weight_decay: Adam's.
        published: After the first step of each epoch the network is in evaluation mode, as Thy-GAN's was: validating
            within the epoch left it there.
    """

    input_px: int
    epochs: int
    patience: int
    batch: int
    learning_rate: float
    weight_decay: float
    published: bool = False

    def check(self) -> "Settings":
        """Refuses settings that cannot be meant; returns itself."""
        if self.epochs < 1 or self.patience < 1:
            raise ConfigError("Epochs and patience are at least 1.")
        if self.batch < 2:
            raise ConfigError(f"A batch of {self.batch} has no batch statistics: give at least 2.")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise ConfigError(
                f"A learning rate of {self.learning_rate:g} with a weight decay of {self.weight_decay:g} cannot train: "
                "the first is above 0, the second 0 or more."
            )
        return self


@dataclass(frozen=True)
class Trained:
    """What a training leaves besides the weights in its backbone.

    Attributes:
        history: A row per epoch: epoch, learning_rate, train_loss, val_loss, val_auroc.
        best_epoch: The epoch whose weights stayed.
        val_auroc: AUROC over the validation tiles with these weights; None with one class.
        threshold: From "0.5", or Youden's on the validation tiles.
    """

    history: list[dict[str, Any]]
    best_epoch: int
    val_auroc: float | None
    threshold: float


class Keeper:
    """Where a training finds its last state and leaves the next: nowhere, unless told."""

    def __init__(
        self,
        read: Callable[[], State | None] = lambda: None,
        write: Callable[[State], None] = lambda state: None,
        minutes: float = 10.0,
    ) -> None:
        self.read, self._write, self._minutes = read, write, minutes
        self._last = time.monotonic()

    def offer(self, state: Callable[[], State], is_last: bool) -> None:
        """Keeps a state when it is time, and the last one in any case."""
        if is_last or time.monotonic() - self._last >= 60 * self._minutes:
            self._write(state())
            self._last = time.monotonic()


def train(
    backbone: Backbone,
    data: ArmTiles,
    settings: Settings,
    seed: int,
    threshold: str,
    what: str,
    keeper: Keeper | None = None,
    show: Callable[[dict[str, Any]], None] | None = None,
) -> Trained:
    """Trains the backbone's module in place.

    Args:
        backbone: Its module lies on the tiles' device.
        data: What the arm trains and validates on.
        settings: How to train.
        seed: Of order, augmentation and dropout.
        threshold: "0.5" or "youden".
        what: For the progress line.
        keeper: Where it goes on from, and what it leaves for another time.
        show: Is told each epoch's row.
    """
    device = data.training.labels.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        history, best_epoch = _epochs(backbone, data, settings, seed, what, keeper or Keeper(), show)
    scores = positive(logits(backbone, data.validation.images, settings.input_px, settings.batch, device))
    truth = data.validation.labels.cpu().numpy()
    return Trained(history, best_epoch, auroc(truth, scores), choose_threshold(threshold, truth, scores))


def _epochs(
    backbone: Backbone,
    data: ArmTiles,
    settings: Settings,
    seed: int,
    what: str,
    keeper: Keeper,
    show: Callable[[dict[str, Any]], None] | None,
) -> tuple[list[dict[str, Any]], int]:
    module, validation = backbone.module.to(memory_format=torch.channels_last), data.validation
    _follow_fast(module)
    optimiser = torch.optim.Adam(
        module.parameters(), settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=PLATEAU_FACTOR, patience=PLATEAU_EPOCHS)
    history: list[dict[str, Any]] = []
    best, best_epoch, best_weights = float("inf"), 0, {}
    if state := keeper.read():
        module.load_state_dict(state["module"])
        optimiser.load_state_dict(state["optimiser"])
        plateau.load_state_dict(state["plateau"])
        history, best, best_epoch, best_weights = (state[key] for key in ("history", "best", "best_epoch", "weights"))

    def now() -> State:
        return {
            "module": module.state_dict(),
            "optimiser": optimiser.state_dict(),
            "plateau": plateau.state_dict(),
            "history": history,
            "best": best,
            "best_epoch": best_epoch,
            "weights": best_weights,
        }

    def is_over() -> bool:
        return len(history) >= settings.epochs or len(history) - best_epoch >= settings.patience

    for epoch in track(range(len(history) + 1, settings.epochs + 1), what, settings.epochs - len(history), "epochs"):
        if is_over():
            break
        rate = optimiser.param_groups[0]["lr"]
        train_loss = _epoch(backbone, data, optimiser, settings, seed, epoch)
        answers = logits(backbone, validation.images, settings.input_px, settings.batch, validation.images.device)
        val_loss = float(F.cross_entropy(answers, validation.labels))
        if not np.isfinite(train_loss + val_loss):
            raise TrainingError(f"{what}: the loss is not a number in epoch {epoch}; use a lower learning rate.")
        val_auroc = auroc(validation.labels.cpu().numpy(), positive(answers))
        losses = {"train_loss": train_loss, "val_loss": val_loss, "val_auroc": val_auroc}
        history.append({"epoch": epoch, "learning_rate": rate, **losses})
        if show:
            show(history[-1])
        plateau.step(val_loss)
        if val_loss < best:
            best, best_epoch, best_weights = val_loss, epoch, copy.deepcopy(module.state_dict())
        keeper.offer(now, is_over())
    module.load_state_dict(best_weights)
    return history, best_epoch


def _epoch(
    backbone: Backbone,
    data: ArmTiles,
    optimiser: torch.optim.Optimizer,
    settings: Settings,
    seed: int,
    epoch: int,
) -> float:
    """One pass over the training tiles; mean loss per tile."""
    training, device = data.training, data.training.labels.device
    stain = data.stain if data.stain and data.stain.use == AUGMENT else None
    torch.manual_seed(seed * 100_003 + epoch)  # dropout draws from the global generator
    noise = torch.Generator(device).manual_seed(seed * 100_003 + epoch)
    draws = draw(len(training.labels), seed, epoch)
    images = training.of_epoch(draws[:, SQUARE])  # [N, 3, H, W] uint8
    references = images[: training.real]
    steps = -(-len(draws) // settings.batch)
    total = torch.zeros((), device=device)
    backbone.module.train()
    for part in order(draws).tensor_split(steps):  # even parts: a batch of one tile has no batch statistics
        places = part.to(device)
        tiles = augment(images[places], draws[part], references, noise, stain)  # [n, 3, H, W] uint8
        inputs = backbone.prepare(tiles, settings.input_px).contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(backbone.module(inputs), training.labels[places])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += loss.detach() * len(part)
        if settings.published:
            backbone.module.eval()
    return float(total) / len(draws)


def _follow_fast(module: nn.Module) -> None:
    """Lets batch statistics follow within tens of steps; EfficientNet's 0.01 is made for a million images."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = max(layer.momentum or 0.0, BATCH_NORM_MOMENTUM)


def auroc(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve over tiles; None where there is one class."""
    return float(roc_auc_score(truth, scores)) if len(set(truth.tolist())) == 2 else None


def choose_threshold(rule: str, truth: np.ndarray, scores: np.ndarray) -> float:
    """The probability from which a tile is of class 1.

    Args:
        rule: "0.5", or "youden": the largest sensitivity + specificity on these tiles, 0.5 where they are of one class.
        truth: Classes [N].
        scores: Probabilities of class 1 [N].
    """
    if rule not in ("0.5", "youden"):
        raise ConfigError(f"There is no threshold rule {rule!r} in the study plan: use 0.5 or youden.")
    if rule == "0.5" or auroc(truth, scores) is None:
        return 0.5
    false_positive, true_positive, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    return float(thresholds[1:][np.argmax((true_positive - false_positive)[1:])])
