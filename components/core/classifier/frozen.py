"""The folder of frozen classifiers: their weights, and everything that inference needs beside them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from components.core.data.file_names import CLASSIFIERS
from components.core.errors import DataError, WeightsError, one_line
from components.core.features.backbones import Backbone, build_backbone
from components.core.io.atomic_files import file_sha256, read_json, write_json
from components.core.io.dataclass_json import from_json
from components.core.store.base import validate_name


@dataclass(frozen=True)
class FrozenClassifier:
    """One classifier: an arm and a seed of one fold.

    Attributes:
        arm: Arm that it was trained on.
        seed: Seed of its initial weights, its order of tiles and its augmentation.
        fold: Fold that it was trained in.
        scheme: Label scheme of its arm's chain; every classifier predicts the binary class.
        file: Name of its weights inside the folder, safetensors.
        sha256: SHA-256 of that file.
        backbone: Name of the network.
        input_px: Side that tiles are resized to, pixels.
        resolution: Side of the tiles, pixels.
        mpp: Micrometres per pixel of the tiles; None = unknown.
        threshold: Probability of class 1 from which a tile is predicted as class 1.
        stain: A `StainFit` as a dictionary; None for the arms without one.
        mark: Text that every number of this classifier carries; '' = none.
        study: SHA-256 of the study plan that it was trained for.
    """

    arm: str
    seed: int
    fold: str
    scheme: str
    file: str
    sha256: str
    backbone: str
    input_px: int
    resolution: int
    mpp: float | None
    threshold: float
    stain: dict[str, Any] | None
    mark: str
    study: str

    def load(self, folder: str | Path, device: torch.device) -> Backbone:
        """The network in evaluation mode.

        Args:
            folder: Folder of the classifiers.
            device: Device to put it on.

        Raises:
            WeightsError: The weights are missing, or not those that were frozen.
        """
        path = Path(folder) / validate_name(self.file)
        try:
            sha256 = file_sha256(path)
        except (OSError, ValueError):  # a name that no file can have
            sha256 = ""
        if sha256 != self.sha256:
            raise WeightsError(
                f"{one_line(path)} is missing, or not the file that was frozen: run classifier_cv again."
            )
        backbone = build_backbone(self.backbone, num_classes=2, pretrained=False)
        backbone.module.load_state_dict(load_file(path))
        backbone.module.to(device).eval()
        return backbone


def save_weights(backbone: Backbone, folder: Path, file: str) -> str:
    """Writes a network's weights.

    Args:
        backbone: The network.
        folder: Folder of the classifiers.
        file: Name of the weights inside the folder.

    Returns:
        `file`.
    """
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(
        save({name: value.contiguous() for name, value in backbone.module.state_dict().items()})
    )
    return file


def write_classifiers(folder: Path, classifiers: Sequence[FrozenClassifier]) -> None:
    """Writes the list of a folder's classifiers."""
    write_json(folder / CLASSIFIERS, [asdict(classifier) for classifier in classifiers])


def read_classifiers(folder: str | Path) -> list[FrozenClassifier]:
    """The classifiers of a folder, in the order of their training.

    Raises:
        DataError: It is not a folder of classifiers, or its list is damaged.
    """
    path = Path(folder) / CLASSIFIERS
    if not path.exists():
        raise DataError(
            f"{folder} is not a folder of classifiers, it has no {CLASSIFIERS}: give one that classifier_cv wrote."
        )
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{path} is not a list of classifiers: run classifier_cv again.")
    return [from_json(FrozenClassifier, entry, str(path)) for entry in entries]
