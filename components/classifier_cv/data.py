"""A fold's tiles in memory, part by part, and what one arm makes of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from components.classifier_cv.field_reconstruction import Field, field_rows, fixed_squares, rebuilt, squares
from components.classifier_cv.training_sets import Arm
from components.core.classifier.tiles import read_tiles, study_mpp
from components.core.data.archive import ImageArchive
from components.core.errors import DataError
from components.core.protocol.split_plan import PARTS, SplitPlan
from components.core.records.stage_record import RECORDS
from components.core.stain.normalization import MACENKO, NORMALISE, STAIN_ARMS, Stain, fit_stain, normalise


@dataclass(frozen=True)
class Tiles:
    """Tiles and their binary classes, on one device: images [N, 3, H, W] uint8, labels [N] int64."""

    images: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class TrainingTiles:
    """What an arm trains on: real tiles, then what the arm adds.

    Attributes:
        labels: Binary classes [N] int64, on the training's device.
        real: How many are the fold's own real tiles; they come first.
        images: [N, 3, H, W] uint8 on the device; empty where whole fields are trained on.
        fields: The fields in their place, on the CPU, and the side of the squares that are cut from them.
        side: Of a tile, pixels.
    """

    labels: torch.Tensor
    real: int
    images: torch.Tensor
    fields: tuple[Field, ...] = ()
    side: int = 0

    def of_epoch(self, draws: torch.Tensor) -> torch.Tensor:
        """Images [N, 3, H, W]: the tiles, or a square of each field where `draws` [N, 2] say."""
        return squares(self.fields, draws, self.side).to(self.labels.device) if self.fields else self.images


@dataclass(frozen=True)
class Part:
    """The real tiles of a fold's training, validation or test patients.

    Attributes:
        rows: Manifest rows of the tiles.
        tiles: [N, 3, H, W] uint8, in the rows' order.
        table: A row for each prediction: the tiles, or the fields where they are rebuilt.
    """

    rows: pd.DataFrame
    tiles: torch.Tensor
    table: pd.DataFrame

    @property
    def labels(self) -> torch.Tensor:
        """Binary classes of the table, [N] int64."""
        return torch.from_numpy(self.table["label"].to_numpy(dtype=np.int64))

    @property
    def sources(self) -> list[str]:
        """The image each tile was cut from, unique over sites."""
        return list(self.rows["site"] + "/" + self.rows["source"])


@dataclass(frozen=True)
class FoldTiles:
    """What one fold's classifiers share.

    Attributes:
        parts: "train", "val" and "test".
        synthetic: The synthetic archive's manifest.
        synthetic_images: Its tiles [N, 3, H, W] uint8.
        resolution: Side of all tiles, pixels.
        mpp: Micrometres per pixel of the training tiles; None = unknown.
        field_tile_px: Side of a tile in its field, where fields are rebuilt; 0 = they are not.
    """

    parts: dict[str, Part]
    synthetic: pd.DataFrame
    synthetic_images: torch.Tensor
    resolution: int
    mpp: float | None
    field_tile_px: int = 0

    def counts(self) -> list[dict[str, str | int]]:
        """A row per part: patients and tiles (or fields) of each class."""
        return [
            {
                "part": name,
                "patients": part.table["identity"].nunique(),
                "fields" if self.field_tile_px else "tiles": len(part.table),
                "class0": int((part.table["label"] == 0).sum()),
                "class1": int((part.table["label"] == 1).sum()),
            }
            for name, part in self.parts.items()
        ]


@dataclass(frozen=True)
class ArmTiles:
    """What one arm trains, validates and tests on: stain-normalised where that is the arm."""

    training: TrainingTiles
    validation: Tiles
    test: torch.Tensor
    stain: Stain | None
    unstained: int  # tiles that could not be normalised


def read_fold(
    real: ImageArchive, synthetic: ImageArchive, plan: SplitPlan, fold: str, published: bool = False
) -> FoldTiles:
    """Reads every tile of a fold once.

    Args:
        real: The study's tiles.
        synthetic: The fold's synthetic tiles.
        plan: Who trains, validates and tests.
        fold: Of the plan.
        published: Rebuild the real fields from their tiles.

    Raises:
        DataError: No training or validation tiles, tiles without a class, several sizes or magnifications, or fields
            that cannot be rebuilt.
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
    field_tile_px = _tile_px(real) if published else 0
    return FoldTiles(
        {
            part: Part(
                table,
                read_tiles(real, table, resolution, f"{part} tiles"),
                field_rows(table) if published else table,
            )
            for part, table in tables.items()
        },
        synthetic.manifest,
        read_tiles(synthetic, synthetic.manifest, resolution, "synthetic tiles"),
        resolution,
        study_mpp(tables["train"]),
        field_tile_px,
    )


def _tile_px(real: ImageArchive) -> int:
    """Side of a tile in its field, as the tile stage wrote it down."""
    for record in real.attachment(RECORDS) or []:
        if record.get("stage") == "tile" and record.get("tile_px"):
            return int(record["tile_px"])
    raise DataError(
        f"{real.path.name} does not say how large its tiles were cut, so fields cannot be rebuilt: make it with the "
        "tile stage, or go on without --published."
    )


def arm_tiles(fold: FoldTiles, arm: Arm, seed: int, device: torch.device, stain_method: str = MACENKO) -> ArmTiles:
    """An arm's tiles on the device; what a stain arm fits comes from the training tiles alone.

    Args:
        fold: The fold's tiles.
        arm: Its additions.
        seed: Of the pixels that a stain fit draws, and of the squares that fields are told by.
        device: Where training happens.
        stain_method: What the arm stain-norm normalises by: "macenko" or "reinhard".
    """
    images, unstained = {name: part.tiles for name, part in fold.parts.items()}, 0
    stain = None
    if arm.name in STAIN_ARMS:
        stain = fit_stain(images["train"], STAIN_ARMS[arm.name], seed, stain_method)
    if stain and stain.use == NORMALISE:
        for name, part in fold.parts.items():
            images[name], kept = normalise(stain, part.tiles, part.sources)
            unstained += kept
    train = fold.parts["train"].labels
    synthetic = torch.from_numpy(fold.synthetic["label"].to_numpy(dtype=np.int64, na_value=-1))
    labels = torch.cat([train, synthetic[arm.synthetic], train[arm.redrawn]]).to(device)
    if fold.field_tile_px:
        training, images = _of_fields(fold, arm, images, labels, seed)
    else:
        added = [fold.synthetic_images[arm.synthetic], images["train"][arm.redrawn]]
        training = TrainingTiles(labels, len(train), torch.cat([images["train"], *added]).to(device))
    validation = Tiles(images["val"].to(device), fold.parts["val"].labels.to(device))
    return ArmTiles(training, validation, images["test"], stain, unstained)


def _of_fields(
    fold: FoldTiles, arm: Arm, tiles: dict[str, torch.Tensor], labels: torch.Tensor, seed: int
) -> tuple[TrainingTiles, dict[str, torch.Tensor]]:
    """Training on whole fields, and one square of each validation and test field."""
    fields = {name: list(rebuilt(fold.parts[name].rows, own, fold.field_tile_px)) for name, own in tiles.items()}
    own, side = fields["train"], fold.resolution
    added = [*fold.synthetic_images[arm.synthetic], *(own[place] for place in arm.redrawn)]
    training = TrainingTiles(labels, len(own), torch.empty(0), (*own, *added), side)
    return training, {name: fixed_squares(fields[name], seed, side) for name in ("val", "test")}
