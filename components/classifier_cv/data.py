"""A fold's tiles in memory, part by part, and what one arm makes of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from components.classifier_cv.arms import Arm
from components.core.archive import ImageArchive
from components.core.classifier.stain import NORMALISE, STAIN_ARMS, Stain, fit_stain, normalise
from components.core.classifier.tiles import read_tiles, study_mpp
from components.core.errors import DataError
from components.core.splits import PARTS, SplitPlan


@dataclass(frozen=True)
class Tiles:
    """Tiles and their binary classes, on one device: images [N, 3, H, W] uint8, labels [N] int64."""

    images: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class Part:
    """The real tiles of a fold's training, validation or test patients.

    Attributes:
        table: Their manifest rows.
        images: [N, 3, H, W] uint8, in the table's order.
    """

    table: pd.DataFrame
    images: torch.Tensor

    @property
    def labels(self) -> torch.Tensor:
        """Binary classes [N] int64."""
        return torch.from_numpy(self.table["label"].to_numpy(dtype=np.int64))

    @property
    def sources(self) -> list[str]:
        """The image each tile was cut from, unique over sites."""
        return list(self.table["site"] + "/" + self.table["source"])


@dataclass(frozen=True)
class FoldTiles:
    """What one fold's classifiers share.

    Attributes:
        parts: "train", "val" and "test".
        synthetic: The synthetic archive's manifest.
        synthetic_images: Its tiles [N, 3, H, W] uint8.
        resolution: Side of all tiles, pixels.
        mpp: Micrometres per pixel of the training tiles; None = unknown.
    """

    parts: dict[str, Part]
    synthetic: pd.DataFrame
    synthetic_images: torch.Tensor
    resolution: int
    mpp: float | None

    def counts(self) -> list[dict[str, str | int]]:
        """A row per part: patients and tiles of each class."""
        return [
            {
                "part": name,
                "patients": part.table["identity"].nunique(),
                "tiles": len(part.table),
                "class0": int((part.table["label"] == 0).sum()),
                "class1": int((part.table["label"] == 1).sum()),
            }
            for name, part in self.parts.items()
        ]


@dataclass(frozen=True)
class ArmTiles:
    """What one arm trains, validates and tests on: stain-normalised where that is the arm."""

    training: Tiles
    validation: Tiles
    test: torch.Tensor
    stain: Stain | None
    unstained: int  # tiles that could not be normalised


def read_fold(real: ImageArchive, synthetic: ImageArchive, plan: SplitPlan, fold: str) -> FoldTiles:
    """Reads every tile of a fold once.

    Raises:
        DataError: No training or validation tiles, tiles without a class, several sizes or magnifications.
    """
    tables = {part: plan.rows(real.manifest, fold, part) for part in PARTS}
    for part, table in tables.items():
        if table.empty and part != "test":
            raise DataError(f"Fold {fold} has no {part} tiles in {real.path.name}: split this tile set's own manifest.")
        if table["label"].isna().any():
            raise DataError(
                f"{int(table['label'].isna().sum())} {part} tiles of fold {fold} have no class: label them."
            )
    resolution = real.resolution
    if len(synthetic) and synthetic.resolution != resolution:
        raise DataError(
            f"The synthetic tiles have {synthetic.resolution} px, the real ones {resolution} px: "
            "train the generator and cut the tiles with one resolution."
        )
    return FoldTiles(
        {part: Part(table, read_tiles(real, table, resolution, f"{part} tiles")) for part, table in tables.items()},
        synthetic.manifest,
        read_tiles(synthetic, synthetic.manifest, resolution, "synthetic tiles"),
        resolution,
        study_mpp(tables["train"]),
    )


def arm_tiles(fold: FoldTiles, arm: Arm, seed: int, device: torch.device) -> ArmTiles:
    """An arm's tiles on the device; what a stain arm fits comes from the training tiles alone.

    Args:
        fold: The fold's tiles.
        arm: Its additions.
        seed: Of the pixels that a stain fit draws.
        device: Where training happens.
    """
    images, unstained = {name: part.images for name, part in fold.parts.items()}, 0
    stain = fit_stain(images["train"], STAIN_ARMS[arm.name], seed) if arm.name in STAIN_ARMS else None
    if stain and stain.use == NORMALISE:
        for name, part in fold.parts.items():
            images[name], kept = normalise(stain, part.images, part.sources)
            unstained += kept
    train, labels = images["train"], fold.parts["train"].labels
    synthetic_labels = torch.from_numpy(fold.synthetic["label"].to_numpy(dtype=np.int64, na_value=-1))
    training = Tiles(
        torch.cat([train, fold.synthetic_images[arm.synthetic], train[arm.redrawn]]).to(device),
        torch.cat([labels, synthetic_labels[arm.synthetic], labels[arm.redrawn]]).to(device),
    )
    validation = Tiles(images["val"].to(device), fold.parts["val"].labels.to(device))
    return ArmTiles(training, validation, images["test"], stain, unstained)
