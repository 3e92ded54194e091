"""A site's stain in numbers: optical densities, Macenko's two stains, and how far sites differ."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.core.data.images import Pixels
from components.core.stain.macenko import TISSUE_OD, fit_macenko, optical_density

MAX_TILES, PIXELS_PER_TILE = 96, 4096
METHOD = (
    f"Macenko et al. (ISBI 2009) on up to {PIXELS_PER_TILE:,} pixels of each of up to {MAX_TILES} tiles a site, "
    f"spread over its patients; tissue is what has an optical density of {TISSUE_OD:g} in every channel"
)


@dataclass(frozen=True)
class SiteStain:
    """A site's stain. Optical densities are natural logarithms, in the order red, green, blue.

    Attributes:
        tiles: Number of tiles in the sample.
        tissue_share: Share of tissue in their pixels, 0..1.
        mean_od: Mean density of tissue pixels [3]; None without tissue.
        od_spread: Standard deviation of the tiles' mean densities [3]; None for fewer than two tiles with tissue.
        haematoxylin: Unit vector of optical density [3]; None where no two stains are found.
        eosin: Unit vector of optical density [3]; None where no two stains are found.
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
        return {name: _round(value) for name, value in asdict(self).items()}


def select_tiles(rows: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """Up to MAX_TILES files of a site's manifest rows, patient by patient in turn, so that no patient dominates."""
    shuffled = rows.iloc[rng.permutation(len(rows))]
    turns = shuffled.groupby("identity").cumcount()
    return list(shuffled["file"].iloc[turns.argsort(kind="stable")[:MAX_TILES]])


def site_stain(tiles: Iterable[Pixels], rng: np.random.Generator) -> SiteStain:
    """The stain of tiles, each [H, W, 3] uint8; keeps PIXELS_PER_TILE pixels of each."""
    samples = [_sample_pixels(tile.reshape(-1, 3), rng) for tile in tiles]
    if not samples:
        return SiteStain(0, 0.0)
    densities = [optical_density(pixels) for pixels in samples]
    tissues = [density[(density >= TISSUE_OD).all(axis=1)] for density in densities]
    tissue = np.concatenate(tissues)  # [P, 3]
    share = len(tissue) / sum(map(len, densities))
    if not len(tissue):
        return SiteStain(len(samples), share)
    means = np.array([density.mean(axis=0) for density in tissues if len(density)])  # [tiles with tissue, 3]
    spread = means.std(axis=0, ddof=1).tolist() if len(means) > 1 else None
    mean_od = tissue.mean(axis=0).tolist()
    macenko = fit_macenko(np.concatenate(samples)[None])  # torchstain reads images: [1, P, 3]
    if macenko is None:
        return SiteStain(len(samples), share, mean_od, spread)
    haematoxylin, eosin = macenko.HERef.T.tolist()
    return SiteStain(len(samples), share, mean_od, spread, haematoxylin, eosin, macenko.maxCRef.tolist())


def stain_differences(stains: dict[str, SiteStain]) -> list[dict[str, Any]]:
    """Each pair of sites: angles between their stain vectors, degrees, and the distance of their mean densities."""
    return [
        {
            "sites": [first, second],
            "haematoxylin_degrees": _degrees(a.haematoxylin, b.haematoxylin),
            "eosin_degrees": _degrees(a.eosin, b.eosin),
            "mean_od_distance": _distance(a.mean_od, b.mean_od),
        }
        for (first, a), (second, b) in combinations(stains.items(), 2)
    ]


def _sample_pixels(pixels: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    if len(pixels) <= PIXELS_PER_TILE:
        return pixels
    return pixels[np.sort(rng.choice(len(pixels), PIXELS_PER_TILE, replace=False))]


def _degrees(a: list[float] | None, b: list[float] | None) -> float | None:
    if a is None or b is None:
        return None
    cosine = np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))
    return round(float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))), 1)


def _distance(a: list[float] | None, b: list[float] | None) -> float | None:
    return None if a is None or b is None else round(float(np.linalg.norm(np.subtract(a, b))), 4)


def _round(value: Any) -> Any:
    if isinstance(value, list):
        return [round(one, 4) for one in value]
    return round(value, 4) if isinstance(value, float) else value
