"""Tiles in memory as one uint8 tensor, and their magnification."""

import pandas as pd
import torch

from components.core.data.archive import ImageArchive
from components.core.errors import DataError
from components.core.runtime.progress import track


def load_classifier_tiles(archive: ImageArchive, table: pd.DataFrame, resolution: int, what: str) -> torch.Tensor:
    """The table's tiles, [N, 3, resolution, resolution] uint8, in its order.

    Args:
        archive: Archive of the tiles.
        table: Manifest rows of the tiles to read.
        resolution: Side of a tile, pixels.
        what: Name of these tiles in the progress line.

    Raises:
        DataError: A tile has another size.
    """
    tiles = torch.empty((len(table), 3, resolution, resolution), dtype=torch.uint8)
    files = list(table["file"])
    for index, image in enumerate(track(archive.images(files), what, len(files), "tiles")):
        if image.shape != (resolution, resolution, 3):
            raise DataError(
                f"{files[index]} in {archive.path.name} is {image.shape[1]}x{image.shape[0]} pixels, expected "
                f"{resolution}x{resolution}: tile again with one resolution."
            )
        tiles[index] = torch.from_numpy(image).permute(2, 0, 1)
    return tiles


def site_mpp(table: pd.DataFrame) -> dict[str, float | None]:
    """Micrometres per pixel of each site's tiles, None where unknown.

    The most frequent value counts: images smaller than a tile may have been enlarged.
    """
    return {
        str(site): None if rows["mpp"].isna().all() else float(rows["mpp"].round(4).mode().iloc[0])
        for site, rows in table.groupby("site", sort=True)
    }


def same_mpp(first: float | None, second: float | None) -> bool:
    """Whether two magnifications, um/px, differ by at most 1 %; True where one is unknown."""
    return first is None or second is None or abs(first - second) <= 0.01 * max(first, second)


def study_mpp(table: pd.DataFrame) -> float | None:
    """The one magnification of the training tiles, um/px; None where a site's is unknown.

    Raises:
        DataError: Sites of several magnifications.
    """
    sites = site_mpp(table)
    known = sorted(mpp for mpp in sites.values() if mpp is not None)
    if known and not same_mpp(known[0], known[-1]):
        magnifications = ", ".join(f"{site}: {mpp:g}" for site, mpp in sites.items() if mpp is not None)
        raise DataError(
            f"The training tiles have several magnifications ({magnifications} um/px): tile all sites at one um/px."
        )
    return known[0] if known and None not in sites.values() else None
