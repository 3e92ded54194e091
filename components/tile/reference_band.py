"""Thy-GAN's reference band: tiles of external slides that look like the study's, by mean and spread of their pixels.

It selects the target domain by the source domain: the slides' other tiles are never evaluated. It is therefore off by
default, the tiles it leaves out are counted, and the same slides can be cut without it.
"""

import numpy as np

from components.core.data.archive import ImageArchive
from components.core.data.images import Pixels
from components.core.errors import ConfigError, DataError
from components.core.protocol.split_plan import ALL, SplitPlan
from components.core.records.tile import ReferenceBand
from components.core.runtime.progress import track

REFERENCE_BAND = "reference-band"


def is_in_band(band: ReferenceBand, pixels: Pixels) -> bool:
    """Whether a tile's mean and spread are both within one standard deviation of the reference's."""
    mean, spread = tone(pixels)
    return abs(mean - band.mean) <= band.mean_sd and abs(spread - band.spread) <= band.spread_sd


def tone(pixels: Pixels) -> tuple[float, float]:
    """Mean and standard deviation of all values of a tile, 0..255."""
    return float(pixels.mean()), float(pixels.std())


def measure_band(reference: str, plan: str, resolution: int) -> ReferenceBand:
    """The tone of the study's training tiles.

    Args:
        reference: TileSet of the study.
        plan: SplitPlan of the study; the training patients of its fold `all` are the reference.
        resolution: Side of the tiles that will be compared with it, pixels.

    Raises:
        ConfigError: Tile set or plan is missing.
        DataError: Tile set and plan do not belong together, or the tiles have another side.
    """
    if not (reference and plan):
        raise ConfigError(
            f"--slide-filter {REFERENCE_BAND} compares with the study's training patients: give the study's tile set "
            "by --reference and its split plan by --plan."
        )
    with ImageArchive(reference) as tiles:
        rows = SplitPlan.read(plan).rows(tiles.manifest, ALL, "train")
        if rows.empty:
            raise DataError(
                f"No tile of {reference} belongs to a training patient of {plan}: "
                "give a tile set and a plan of one study."
            )
        if tiles.resolution != resolution:
            raise DataError(
                f"{reference} has tiles of {tiles.resolution} px and the slides' will have {resolution}: mean and "
                "spread depend on that, so cut both with one --resolution."
            )
        images = track(tiles.images(rows["file"]), "reference band", len(rows), "tiles")
        tones = np.array([tone(pixels) for pixels in images])
    (mean, spread), (mean_sd, spread_sd) = tones.mean(0).tolist(), tones.std(0).tolist()
    return ReferenceBand(mean, mean_sd, spread, spread_sd, len(rows), rows["identity"].nunique())
