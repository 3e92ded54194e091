"""Tiles in memory: all tiles of one classifier's task as one uint8 tensor."""

import pandas as pd
import torch

from components.core.data.archive import ImageArchive
from components.core.errors import DataError
from components.core.runtime.progress import track


def read_tiles(archive: ImageArchive, table: pd.DataFrame, resolution: int, what: str) -> torch.Tensor:
    """The table's tiles, [N, 3, resolution, resolution] uint8, in its order.

    Raises:
        DataError: A tile has another size.
    """
    tiles = torch.empty((len(table), 3, resolution, resolution), dtype=torch.uint8)
    files = list(table["file"])
    for place, image in enumerate(track(archive.images(files), what, len(files), "tiles")):
        if image.shape != (resolution, resolution, 3):
            raise DataError(
                f"{files[place]} in {archive.path.name} is {image.shape[1]}x{image.shape[0]} pixels, expected "
                f"{resolution}x{resolution}: all tiles of a study have one size; tile again with one resolution."
            )
        tiles[place] = torch.from_numpy(image).permute(2, 0, 1)
    return tiles


def site_mpp(table: pd.DataFrame) -> dict[str, float | None]:
    """Micrometres per pixel of each site's tiles, None where unknown.

    The most frequent value stands for a site: images smaller than a tile may have been enlarged, which the tile stage
    records.
    """
    return {
        str(site): None if rows["mpp"].isna().all() else float(rows["mpp"].round(4).mode().iloc[0])
        for site, rows in table.groupby("site", sort=True)
    }


def same_mpp(first: float | None, second: float | None) -> bool:
    """True where both are known and within 1 %, or one is unknown."""
    return first is None or second is None or abs(first - second) <= 0.01 * max(first, second)


def study_mpp(table: pd.DataFrame) -> float | None:
    """The one magnification of the training tiles, um/px; None where a site's is unknown.

    Raises:
        DataError: Sites of several magnifications.
    """
    sites = site_mpp(table)
    known = sorted(one for one in sites.values() if one is not None)
    if known and not same_mpp(known[0], known[-1]):
        stated = ", ".join(f"{site}: {one:g}" for site, one in sites.items() if one is not None)
        raise DataError(
            f"The training tiles have several magnifications ({stated} um/px): tile all sites at one um/px."
        )
    return known[0] if known and None not in sites.values() else None
