"""Whole fields reconstructed from their tiles, which Thy-GAN's classifiers were trained and tested on.

They saw a random square of a field, never the whole field. Here a square of a tile's size is cut by draws that follow
from a seed; theirs were unseeded, so every test gave another score.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from components.core.errors import DataError

FieldImage = torch.Tensor  # [3, H, W] uint8, H and W at least a tile's side


def field_rows(table: pd.DataFrame) -> pd.DataFrame:
    """A row per field, in the order of the fields' first tiles: that tile's row, with the field's name as `file`."""
    without_position = table[table["x"].isna() | table["y"].isna()]
    if len(without_position):
        raise DataError(
            f"Tiles of {without_position['source'].iloc[0]} do not say where they were cut, so fields cannot be "
            "reconstructed: tile again, or leave out --published."
        )
    first = table.drop_duplicates(["site", "source"])
    return first.assign(file=first["source"])


def reconstruct_fields(table: pd.DataFrame, tiles: torch.Tensor, tile_px: int) -> Iterator[FieldImage]:
    """The fields of `field_rows`, composed of their tiles by x and y.

    The tile stage leaves out strips narrower than half a tile (of 1053 px rows 512 to 540): they are filled by the
    mirror image of their neighbours. The area of a tile that is missing as a whole is black.

    Args:
        table: Manifest rows of the tiles.
        tiles: Tiles [N, 3, S, S] uint8, in the table's order.
        tile_px: Side of a tile in its source, pixels, which was resized to S.
    """
    side = tiles.shape[-1]
    corners = (table[["y", "x"]].to_numpy(float) * side / tile_px).round().astype(int)  # [N, 2]
    for _, rows_of_field in table.reset_index(drop=True).groupby(["site", "source"], sort=False):
        height, width = corners[rows_of_field.index].max(axis=0) + side
        field = torch.zeros((3, height, width), dtype=torch.uint8)
        for index in rows_of_field.index:
            top, left = corners[index]
            field[:, top : top + side, left : left + side] = tiles[index]
        rows, columns = (_mirror_index(edges, side) for edges in corners[rows_of_field.index].T)
        yield field[:, rows][:, :, columns]


def _mirror_index(edges: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.int64]:
    """Source of each row (or column): itself inside a tile, else the mirror image beyond the nearer tile."""
    starts = np.unique(edges)
    lines = np.arange(starts[-1] + side)
    before = starts[np.searchsorted(starts, lines, side="right") - 1] + side - 1  # the last line of the tile before
    after = starts[np.searchsorted(starts, lines).clip(max=len(starts) - 1)]
    beyond = np.where(lines - before <= after - lines, 2 * before - lines + 1, 2 * after - lines - 1)
    return np.where(lines <= before, lines, beyond)


def cut_squares(fields: Sequence[FieldImage], draws: torch.Tensor, side: int) -> torch.Tensor:
    """One square of each field.

    Args:
        fields: The fields.
        draws: Position of each square [N, 2], 0..1 of the possible ones, from the top and from the left.
        side: Side of a square, pixels.

    Returns:
        Squares [N, 3, side, side] uint8.
    """
    squares = torch.empty((len(fields), 3, side, side), dtype=torch.uint8)
    for index, (field, draw) in enumerate(zip(fields, draws.tolist(), strict=True)):
        top, left = (int(u * (size - side + 1)) for u, size in zip(draw, field.shape[1:], strict=True))
        squares[index] = field[:, top : top + side, left : left + side]
    return squares


def cut_fixed_squares(fields: Sequence[FieldImage], seed: int, side: int) -> torch.Tensor:
    """One square of each field, the same ones for the same seed."""
    draws = np.random.default_rng(seed).random((len(fields), 2), dtype=np.float32)
    return cut_squares(fields, torch.from_numpy(draws), side)
