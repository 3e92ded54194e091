"""The record of `classifier_cv`: the classifiers of one fold, how each was trained, and the tiles it was trained on."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ClassifierRow:
    """One classifier: an arm and a seed.

    Attributes:
        arm: Name of the arm.
        seed: Classifier seed.
        epochs: Number of epochs trained.
        best_epoch: Epoch whose weights were frozen.
        val_auroc: AUROC over the validation tiles with these weights, 0..1; None = one class only.
        real_tiles: Number of real training tiles, or of fields where these are reconstructed.
        added_tiles: Number of tiles that the arm adds.
        threshold: Probability from which a tile is predicted as class 1.
        mark: Text that every number of this classifier carries; '' = none.
    """

    arm: str
    seed: int
    epochs: int
    best_epoch: int
    val_auroc: float | None
    real_tiles: int
    added_tiles: int
    threshold: float
    mark: str


@dataclass(frozen=True)
class EpochRow:
    """One epoch of one classifier's training.

    Attributes:
        arm: Name of the arm.
        seed: Classifier seed.
        epoch: Number of the epoch, from 1.
        learning_rate: Adam's learning rate in this epoch.
        train_loss: Mean cross-entropy over the training tiles.
        val_loss: Mean cross-entropy over the validation tiles.
        val_auroc: AUROC over the validation tiles, 0..1; None = one class only.
    """

    arm: str
    seed: int
    epoch: int
    learning_rate: float
    train_loss: float
    val_loss: float
    val_auroc: float | None


@dataclass(frozen=True)
class FoldPartRow:
    """One part of the fold.

    Attributes:
        part: Name of the part: train, val or test.
        patients: Number of patients.
        class0: Tiles (or fields) of class 0.
        class1: Tiles (or fields) of class 1.
        tiles: Number of tiles; None where fields are reconstructed.
        fields: Number of fields; None where tiles are classified.
    """

    part: str
    patients: int
    class0: int
    class1: int
    tiles: int | None = None
    fields: int | None = None


@dataclass(frozen=True)
class ClassifierRecord:
    """What `classifier_cv` writes down.

    Attributes:
        backbone: Name of the network.
        input_px: Side of the network's input, pixels.
        backbone_trained: Whether training started from ImageNet weights.
        weights_sha256: SHA-256 of the file with these weights; '' = random weights.
        tiles_without_stain: Tiles that could not be stain-normalised, over all arms.
        classifier_seeds: Number of classifiers per arm.
        published: Whether training and test follow Thy-GAN's way.
        arms: Every classifier, arm by arm.
        history: Every epoch of every classifier.
        parts: Every part of the fold.
    """

    backbone: str
    input_px: int
    backbone_trained: bool
    weights_sha256: str
    tiles_without_stain: int
    classifier_seeds: int
    published: bool
    arms: list[ClassifierRow] = field(default_factory=list)
    history: list[EpochRow] = field(default_factory=list)
    parts: list[FoldPartRow] = field(default_factory=list)
