"""The folder of frozen classifiers: weights, and everything that a reader needs to use them as they were meant."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from components.core.errors import DataError, WeightsError, one_line
from components.core.features.backbones import Backbone, build_backbone
from components.core.io.atomic_files import file_sha256, read_json, write_json
from components.core.io.dataclass_json import from_json
from components.core.store.base import validate_name

CLASSIFIERS = "classifiers.json"


@dataclass(frozen=True)
class Frozen:
    """One classifier: an arm and a seed of one fold.

    Attributes:
        arm: What it was trained on.
        seed: Of its initial weights, its order and its augmentation.
        fold: The fold it was trained in.
        scheme: The chain it belongs to; every classifier tells the binary class.
        file: Weights inside the folder, safetensors.
        sha256: Of that file.
        backbone: Name of the network.
        input_px: Side that tiles are resized to.
        resolution: Side of the tiles, pixels.
        mpp: Their micrometres per pixel; None = unknown.
        threshold: Probability of class 1 from which a tile is called class 1.
        stain: A fitted `Stain` as a dictionary; None for the arms without one.
        mark: What every number of this classifier carries; '' = nothing.
        study: Digest of the study plan that it was trained for.
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
        """The network in eval mode; refuses weights that are not the ones that were frozen."""
        path = Path(folder) / validate_name(self.file)
        try:
            found = file_sha256(path)
        except (OSError, ValueError):  # a name that no file can have
            found = ""
        if found != self.sha256:
            raise WeightsError(f"{one_line(path)} is missing or not the file that was frozen: run classifier_cv again.")
        backbone = build_backbone(self.backbone, num_classes=2, pretrained=False)
        backbone.module.load_state_dict(load_file(path))
        backbone.module.to(device).eval()
        return backbone


def save_weights(backbone: Backbone, folder: Path, file: str) -> str:
    """Writes a network's weights into the folder; returns the file's name in it."""
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(save({name: one.contiguous() for name, one in backbone.module.state_dict().items()}))
    return file


def write_classifiers(folder: Path, classifiers: Sequence[Frozen]) -> None:
    """Writes the list of a folder's classifiers."""
    write_json(folder / CLASSIFIERS, [asdict(one) for one in classifiers])


def read_classifiers(folder: str | Path) -> list[Frozen]:
    """The classifiers of a folder, in the order they were trained."""
    path = Path(folder) / CLASSIFIERS
    if not path.exists():
        raise DataError(f"{folder} is no folder of classifiers: it has no {CLASSIFIERS}; make it with classifier_cv.")
    found = read_json(path)
    if not isinstance(found, list):
        raise DataError(f"{path} is no list of classifiers: make it again with classifier_cv.")
    return [from_json(Frozen, one, str(path)) for one in found]
