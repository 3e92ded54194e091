"""Thy-GAN's reference band: tiles of external slides that look like the study's, by mean and spread of their pixels.

A choice of the target domain by the source domain: the slides' other tiles are never asked about. It is therefore off
unless it is asked for, what it left out is counted, and the same slides can be cut without it.
"""

from dataclasses import dataclass

import numpy as np

from components.core.data.archive import ImageArchive, Pixels
from components.core.errors import ConfigError, DataError
from components.core.protocol.split_plan import ALL, SplitPlan
from components.core.runtime.progress import track

NONE, REFERENCE_BAND = "none", "reference-band"
FILTERS = (NONE, REFERENCE_BAND)


@dataclass(frozen=True)
class Band:
    """Mean and standard deviation, over the reference tiles, of each tile's mean and spread.

    Attributes:
        mean: Of the tiles' means, 0..255.
        mean_sd: Their standard deviation.
        spread: Of the tiles' standard deviations, 0..255.
        spread_sd: Their standard deviation.
        tiles: Reference tiles.
        patients: Reference patients.
    """

    mean: float
    mean_sd: float
    spread: float
    spread_sd: float
    tiles: int
    patients: int

    def holds(self, pixels: Pixels) -> bool:
        """Whether a tile's mean and spread are both within one standard deviation of the reference's."""
        mean, spread = tone(pixels)
        return abs(mean - self.mean) <= self.mean_sd and abs(spread - self.spread) <= self.spread_sd


def tone(pixels: Pixels) -> tuple[float, float]:
    """Mean and standard deviation of all values of a tile, 0..255."""
    return float(pixels.mean()), float(pixels.std())


def band_of(slide_filter: str, reference: str, plan: str, resolution: int) -> Band | None:
    """The band that the filter asks for; None = no filter.

    Args:
        slide_filter: One of FILTERS.
        reference: The study's tile set.
        plan: Its split plan: the reference is the training patients of the fold `all`.
        resolution: Side of the tiles that will be compared with it.

    Raises:
        ConfigError: Another filter, or one without tile set and plan.
        DataError: Tile set and plan do not belong together, or the tiles have another side.
    """
    if slide_filter not in FILTERS:
        raise ConfigError(f"--slide-filter {slide_filter!r} is not known: say {' or '.join(FILTERS)}.")
    if slide_filter == NONE:
        return None
    if not (reference and plan):
        raise ConfigError(
            f"--slide-filter {REFERENCE_BAND} compares with the study's training patients: give the study's tile set "
            "by --reference and its split plan by --plan."
        )
    with ImageArchive(reference) as tiles:
        rows = SplitPlan.read(plan).rows(tiles.manifest, ALL, "train")
        if rows.empty:
            raise DataError(f"No tile of {reference} is of a training patient of {plan}: give those of one study.")
        if tiles.resolution != resolution:
            raise DataError(
                f"{reference} has tiles of {tiles.resolution} px and the slides' will have {resolution}: mean and "
                "spread depend on that, so cut both with one --resolution."
            )
        tones = np.array([tone(one) for one in track(tiles.images(rows["file"]), "reference band", len(rows), "tiles")])
    (mean, spread), (mean_sd, spread_sd) = tones.mean(0).tolist(), tones.std(0).tolist()
    return Band(mean, mean_sd, spread, spread_sd, len(rows), rows["identity"].nunique())
