"""Whole fields, put together again from their tiles: what Thy-GAN's classifiers trained on and were tested on.

They saw a random square of a field, never the field as a whole. A square of the tiles' size is cut here from draws
that follow from a seed; theirs were unseeded, so every test gave another score.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from components.core.errors import DataError

Field = torch.Tensor  # [3, H, W] uint8, H and W at least a tile's side


def field_rows(table: pd.DataFrame) -> pd.DataFrame:
    """A row per field, in the order of the fields' first tiles: that tile's row, with the field's name as `file`."""
    placeless = table[table["x"].isna() | table["y"].isna()]
    if len(placeless):
        raise DataError(
            f"Tiles of {placeless['source'].iloc[0]} do not say where they were cut, so fields cannot be rebuilt from "
            "them: tile again, or go on without --published."
        )
    first = table.drop_duplicates(["site", "source"])
    return first.assign(file=first["source"])


def rebuilt(table: pd.DataFrame, tiles: torch.Tensor, tile_px: int) -> Iterator[Field]:
    """The fields of `field_rows`, put together by x and y.

    The tile stage leaves out strips narrower than half a tile (of 1053 px rows 512 to 540): they are filled by their
    neighbours' mirror image. What lies in no row or no column of strips, where a whole tile is missing, is black.

    Args:
        table: Manifest rows of the tiles.
        tiles: [N, 3, S, S] uint8, in the table's order.
        tile_px: Side of a tile in its source, which was resized to S.
    """
    side = tiles.shape[-1]
    corners = (table[["y", "x"]].to_numpy(float) * side / tile_px).round().astype(int)  # [N, 2]
    for _, own in table.reset_index(drop=True).groupby(["site", "source"], sort=False):
        height, width = corners[own.index].max(axis=0) + side
        field = torch.zeros((3, height, width), dtype=torch.uint8)
        for place in own.index:
            top, left = corners[place]
            field[:, top : top + side, left : left + side] = tiles[place]
        rows, columns = (_mirrored(edges, side) for edges in corners[own.index].T)
        yield field[:, rows][:, :, columns]


def _mirrored(edges: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.int64]:
    """Where each row (or column) comes from: itself where a tile lies, else the mirror image beyond the nearer tile."""
    starts = np.unique(edges)
    lines = np.arange(starts[-1] + side)
    before = starts[np.searchsorted(starts, lines, side="right") - 1] + side - 1  # the last line of the tile before
    after = starts[np.searchsorted(starts, lines).clip(max=len(starts) - 1)]
    beyond = np.where(lines - before <= after - lines, 2 * before - lines + 1, 2 * after - lines - 1)
    return np.where(lines <= before, lines, beyond)


def squares(fields: Sequence[Field], draws: torch.Tensor, side: int) -> torch.Tensor:
    """One square of each field, [N, 3, side, side]; `draws` [N, 2] uniform in 0..1 say where."""
    cut = torch.empty((len(fields), 3, side, side), dtype=torch.uint8)
    for place, (field, draw) in enumerate(zip(fields, draws.tolist(), strict=True)):
        top, left = (int(u * (size - side + 1)) for u, size in zip(draw, field.shape[1:], strict=True))
        cut[place] = field[:, top : top + side, left : left + side]
    return cut


def fixed_squares(fields: Sequence[Field], seed: int, side: int) -> torch.Tensor:
    """The same square of each field whenever it is asked for with this seed."""
    draws = np.random.default_rng(seed).random((len(fields), 2), dtype=np.float32)
    return squares(fields, torch.from_numpy(draws), side)
