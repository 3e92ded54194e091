"""How a site's tissue is stained, in numbers: optical densities, Macenko's two stains, and how far sites differ."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.core.data.images import Pixels
from components.core.stain.macenko import TISSUE_OD, fit_macenko, optical_density

MOST_TILES, PIXELS_OF_A_TILE = 96, 4096
METHOD = (
    f"Macenko et al. (ISBI 2009) on up to {PIXELS_OF_A_TILE:,} pixels of each of up to {MOST_TILES} tiles a site, "
    f"spread over its patients; tissue is what has an optical density of {TISSUE_OD:g} in every channel"
)


@dataclass(frozen=True)
class SiteStain:
    """A site's stain. Optical densities are natural logarithms, in the order red, green, blue.

    Attributes:
        tiles: How many were looked at.
        tissue_share: Of their pixels, 0..1.
        mean_od: Of tissue pixels [3]; None without tissue.
        od_spread: Standard deviation of the tiles' mean densities [3]; None for fewer than two tiles with tissue.
        haematoxylin: Unit vector of optical density [3]; None where no two stains are found.
        eosin: The same.
        strengths: 99th percentiles of the concentrations of haematoxylin and eosin [2].
    """

    tiles: int
    tissue_share: float
    mean_od: list[float] | None = None
    od_spread: list[float] | None = None
    haematoxylin: list[float] | None = None
    eosin: list[float] | None = None
    strengths: list[float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, four digits."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def chosen_tiles(rows: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """Up to MOST_TILES files of a site's manifest rows, patient by patient in turn, so that no patient dominates."""
    shuffled = rows.iloc[rng.permutation(len(rows))]
    turns = shuffled.groupby("identity").cumcount()
    return list(shuffled["file"].iloc[turns.argsort(kind="stable")[:MOST_TILES]])


def site_stain(tiles: Iterable[Pixels], rng: np.random.Generator) -> SiteStain:
    """The stain of tiles, each [H, W, 3] uint8; holds PIXELS_OF_A_TILE pixels of each."""
    drawn = [_drawn(tile.reshape(-1, 3), rng) for tile in tiles]
    if not drawn:
        return SiteStain(0, 0.0)
    densities = [optical_density(pixels) for pixels in drawn]
    tissues = [density[(density >= TISSUE_OD).all(axis=1)] for density in densities]
    tissue = np.concatenate(tissues)  # [P, 3]
    share = len(tissue) / sum(map(len, densities))
    if not len(tissue):
        return SiteStain(len(drawn), share)
    means = np.array([one.mean(axis=0) for one in tissues if len(one)])  # [tiles with tissue, 3]
    spread = means.std(axis=0, ddof=1).tolist() if len(means) > 1 else None
    mean_od = tissue.mean(axis=0).tolist()
    macenko = fit_macenko(np.concatenate(drawn)[None])  # torchstain reads images: [1, P, 3]
    if macenko is None:
        return SiteStain(len(drawn), share, mean_od, spread)
    haematoxylin, eosin = macenko.HERef.T.tolist()
    return SiteStain(len(drawn), share, mean_od, spread, haematoxylin, eosin, macenko.maxCRef.tolist())


def differences(stains: dict[str, SiteStain]) -> list[dict[str, Any]]:
    """Each pair of sites: angles between their stain vectors, degrees, and the distance of their mean densities."""
    return [
        {
            "sites": [first, second],
            "haematoxylin_degrees": _degrees(one.haematoxylin, other.haematoxylin),
            "eosin_degrees": _degrees(one.eosin, other.eosin),
            "mean_od_distance": _distance(one.mean_od, other.mean_od),
        }
        for (first, one), (second, other) in combinations(stains.items(), 2)
    ]


def _drawn(pixels: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    if len(pixels) <= PIXELS_OF_A_TILE:
        return pixels
    return pixels[np.sort(rng.choice(len(pixels), PIXELS_OF_A_TILE, replace=False))]


def _degrees(one: list[float] | None, other: list[float] | None) -> float | None:
    if one is None or other is None:
        return None
    a, b = np.array(one), np.array(other)
    cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    return round(float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))), 1)


def _distance(one: list[float] | None, other: list[float] | None) -> float | None:
    return None if one is None or other is None else round(float(np.linalg.norm(np.subtract(one, other))), 4)


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [round(one, 4) for one in value]
    return round(value, 4) if isinstance(value, float) else value
