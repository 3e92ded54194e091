"""A fold's tiles in memory, part by part, and the tiles of one arm."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from components.classifier_cv.field_reconstruction import (
    FieldImage,
    cut_fixed_squares,
    cut_squares,
    field_rows,
    reconstruct_fields,
)
from components.classifier_cv.training_sets import ArmAdditions
from components.core.classifier.tiles import load_classifier_tiles, study_mpp
from components.core.data.archive import ImageArchive
from components.core.data.file_names import RECORDS
from components.core.errors import DataError
from components.core.protocol.split_plan import PARTS, SplitPlan
from components.core.records.classifier_cv import FoldPartRow
from components.core.records.stage_record import find_record
from components.core.records.tile import TileRecord
from components.core.stain.normalization import MACENKO, NORMALISE, STAIN_ARMS, StainFit, fit_stain, normalise


@dataclass(frozen=True)
class LabelledTiles:
    """Tiles and their binary classes, on one device.

    Attributes:
        images: Tiles [N, 3, H, W] uint8.
        labels: Binary classes [N] int64.
    """

    images: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True)
class TrainingTiles:
    """Training tiles of an arm: real tiles, then those that the arm adds.

    Attributes:
        labels: Binary classes [N] int64, on the training's device.
        real: Number of the fold's real tiles, which come first.
        images: Tiles [N, 3, H, W] uint8 on the device; empty where training sees squares of fields.
        fields: The fields instead of tiles, on the CPU.
        side: Side of the squares that are cut from fields, pixels.
    """

    labels: torch.Tensor
    real: int
    images: torch.Tensor
    fields: tuple[FieldImage, ...] = ()
    side: int = 0

    def epoch_images(self, draws: torch.Tensor) -> torch.Tensor:
        """Images of an epoch [N, 3, H, W]: the tiles, or the square of each field at `draws` [N, 2]."""
        return cut_squares(self.fields, draws, self.side).to(self.labels.device) if self.fields else self.images


@dataclass(frozen=True)
class FoldPart:
    """The real tiles of a fold's training, validation or test patients.

    Attributes:
        rows: Manifest rows of the tiles.
        tiles: Tiles [N, 3, H, W] uint8, in the order of `rows`.
        table: A row for each prediction: the tiles, or the fields where these are reconstructed.
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
        """The image that each tile was cut from, unique over sites."""
        return list(self.rows["site"] + "/" + self.rows["source"])


@dataclass(frozen=True)
class FoldTiles:
    """Tiles that all classifiers of one fold share.

    Attributes:
        parts: The parts "train", "val" and "test".
        synthetic: Manifest of the synthetic archive.
        synthetic_images: Synthetic tiles [N, 3, H, W] uint8.
        resolution: Side of all tiles, pixels.
        mpp: Micrometres per pixel of the training tiles; None = unknown.
        field_tile_px: Side of a tile in its field, pixels, where fields are reconstructed; 0 = they are not.
    """

    parts: dict[str, FoldPart]
    synthetic: pd.DataFrame
    synthetic_images: torch.Tensor
    resolution: int
    mpp: float | None
    field_tile_px: int = 0

    def counts(self) -> list[FoldPartRow]:
        """A row per part: patients and tiles (or fields) of each class."""
        unit = "fields" if self.field_tile_px else "tiles"
        return [
            FoldPartRow(
                part=name,
                patients=part.table["identity"].nunique(),
                class0=int((part.table["label"] == 0).sum()),
                class1=int((part.table["label"] == 1).sum()),
                **{unit: len(part.table)},
            )
            for name, part in self.parts.items()
        ]


@dataclass(frozen=True)
class ArmTiles:
    """Tiles of one arm for training, validation and test, stain-normalised where the arm says so.

    Attributes:
        training: Training tiles.
        validation: Validation tiles, on the training's device.
        test: Test tiles [N, 3, H, W] uint8, on the CPU.
        stain: Stain fit of the arm; None = it has none.
        unstained: Number of tiles that could not be normalised.
    """

    training: TrainingTiles
    validation: LabelledTiles
    test: torch.Tensor
    stain: StainFit | None
    unstained: int


def read_fold_tiles(
    real: ImageArchive, synthetic: ImageArchive, plan: SplitPlan, fold: str, published: bool = False
) -> FoldTiles:
    """Reads every tile of a fold once.

    Args:
        real: The study's tiles.
        synthetic: The fold's synthetic tiles.
        plan: The study's split plan.
        fold: Fold of the plan.
        published: Whether the real fields are reconstructed from their tiles.

    Raises:
        DataError: No training or validation tiles, tiles without a class, several sizes or magnifications, or fields
            that cannot be reconstructed.
    """
    tables = {part: plan.rows(real.manifest, fold, part) for part in PARTS}
    for part, table in tables.items():
        if table.empty and part != "test":
            raise DataError(f"Fold {fold} has no {part} tiles in {real.path.name}: split this tile set's own manifest.")
        if table["label"].isna().any():
            raise DataError(
                f"{int(table['label'].isna().sum())} {part} tiles of fold {fold} have no class: label their images."
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
            part: FoldPart(
                table,
                load_classifier_tiles(real, table, resolution, f"{part} tiles"),
                field_rows(table) if published else table,
            )
            for part, table in tables.items()
        },
        synthetic.manifest,
        load_classifier_tiles(synthetic, synthetic.manifest, resolution, "synthetic tiles"),
        resolution,
        study_mpp(tables["train"]),
        field_tile_px,
    )


def _tile_px(real: ImageArchive) -> int:
    """Side of a tile in its field, pixels, from the tile stage's record."""
    record = find_record(TileRecord, "tile", real.attachment(RECORDS) or [])
    if record is None:
        raise DataError(
            f"{real.path.name} does not say how large its tiles were cut, so fields cannot be reconstructed: make it "
            "with the tile stage, or leave out --published."
        )
    return record.tile_px


def arm_tiles(
    fold: FoldTiles, additions: ArmAdditions, seed: int, device: torch.device, stain_method: str = MACENKO
) -> ArmTiles:
    """An arm's tiles; a stain arm's fit sees the training tiles alone.

    Args:
        fold: The fold's tiles.
        additions: The tiles that the arm adds.
        seed: Seed of the stain fit's sample of pixels, and of the squares by which fields are predicted.
        device: Device of the training.
        stain_method: Stain normalisation of the arm stain-norm: "macenko" or "reinhard".
    """
    images, unstained = {name: part.tiles for name, part in fold.parts.items()}, 0
    stain = None
    if additions.arm in STAIN_ARMS:
        stain = fit_stain(images["train"], STAIN_ARMS[additions.arm], seed, stain_method)
    if stain and stain.use == NORMALISE:
        for name, part in fold.parts.items():
            images[name], untouched = normalise(stain, part.tiles, part.sources)
            unstained += untouched
    train = fold.parts["train"].labels
    synthetic = torch.from_numpy(fold.synthetic["label"].to_numpy(dtype=np.int64, na_value=-1))
    labels = torch.cat([train, synthetic[additions.synthetic], train[additions.redrawn]]).to(device)
    if fold.field_tile_px:
        training, images = _field_tiles(fold, additions, images, labels, seed)
    else:
        added = [fold.synthetic_images[additions.synthetic], images["train"][additions.redrawn]]
        training = TrainingTiles(labels, len(train), torch.cat([images["train"], *added]).to(device))
    validation = LabelledTiles(images["val"].to(device), fold.parts["val"].labels.to(device))
    return ArmTiles(training, validation, images["test"], stain, unstained)


def _field_tiles(
    fold: FoldTiles, additions: ArmAdditions, tiles: dict[str, torch.Tensor], labels: torch.Tensor, seed: int
) -> tuple[TrainingTiles, dict[str, torch.Tensor]]:
    """Training tiles from whole fields, and one square of each validation and test field."""
    fields = {name: list(reconstruct_fields(fold.parts[name].rows, tiles[name], fold.field_tile_px)) for name in tiles}
    real, side = fields["train"], fold.resolution
    added = [*fold.synthetic_images[additions.synthetic], *(real[row] for row in additions.redrawn)]
    training = TrainingTiles(labels, len(real), torch.empty(0), (*real, *added), side)
    return training, {name: cut_fixed_squares(fields[name], seed, side) for name in ("val", "test")}
