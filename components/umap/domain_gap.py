"""The domain gap in numbers: source to each external site, with and without each arm's synthetic tiles.

Intervals come from resampling patients (tiles, where no patient is known; synthetic tiles one by one). Resampled
distances of distributions are biased upwards, so a percentile interval is moved until its median is the value.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.core.runtime.progress import track
from components.umap.domain_distances import SCALES, DomainFeatures, FloatArray, TileCounts, domain_distances
from components.umap.map_tiles import EXTERNAL, SOURCE, MapTiles

REPLICATES = 200
MOST_COMPONENTS = 64
FEWEST_TILES = 5

COLUMNS = [
    "source",
    "target",
    "metric",
    "value",
    "low",
    "high",
    "with_arm",
    "change",
    "change_low",
    "change_high",
    "gap",
]


def domain_gap(tiles: MapTiles, features: npt.NDArray[np.float32], neighbors: int, seed: int) -> pd.DataFrame:
    """One row per site, measure and arm; `with_arm` is '' for the source alone.

    `change` is the value with the arm's tiles minus the value without, measured on as many tiles: some source tiles
    give way to synthetic ones in the training's proportion. `gap` says what that did: "fell" or "rose" where the
    change's interval leaves out 0, else "not shown".

    Args:
        tiles: Tiles of all domains.
        features: Their features, [n, d].
        neighbors: Size of the neighbourhood of the kNN mixing, tiles.
        seed: Seed of every draw.
    """
    table = tiles.table
    sites = sorted(set(table.loc[table["role"] == EXTERNAL, "domain"]))
    is_source = (table["role"] == SOURCE).to_numpy()
    domains = {site: (table["domain"] == site).to_numpy() for site in sites}
    domains = {site: mask for site, mask in domains.items() if min(mask.sum(), is_source.sum()) >= FEWEST_TILES}
    if not domains:
        return pd.DataFrame(columns=COLUMNS)
    reduced = reduce_features(
        features, is_source | np.any(list(domains.values()), axis=0), [is_source, *domains.values()]
    )
    groups = table["group"].to_numpy(object)

    def domain(mask: npt.NDArray[np.bool_]) -> DomainFeatures:
        return DomainFeatures(features[mask].astype(np.float64), reduced[mask], groups[mask])

    source = domain(is_source)
    arms = {}
    for arm, count in tiles.added.items():
        mask = np.array([arm in used for used in table["arms"]])
        if mask.any():
            arms[arm] = (domain(mask), count / (count + tiles.source_tiles))
    name = " + ".join(sorted(set(table.loc[is_source, "domain"])))
    rows: list[dict[str, Any]] = []
    for site, mask in track(domains.items(), "domain gap", unit="sites"):
        rows += [
            {"source": name, "target": site, **row} for row in gap_rows(source, domain(mask), arms, neighbors, seed)
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def reduce_features(features: npt.NDArray[np.float32], fitted: npt.NDArray[np.bool_], sides: list[Any]) -> FloatArray:
    """Features on the leading principal components of the real tiles, [n, k].

    k is at most 64 and at most half of the tiles of the smallest domain: a covariance needs more tiles than
    dimensions, and distances to two sites compare only on the same components.
    """
    most = min(MOST_COMPONENTS, min(int(side.sum()) for side in sides) // 2, features.shape[1])
    real = features[fitted].astype(np.float64)
    centre = real.mean(axis=0)
    axes = np.linalg.svd(real - centre, full_matrices=False)[2][:most]
    reduced: FloatArray = (features - centre) @ axes.T
    return reduced


def gap_rows(
    source: DomainFeatures,
    target: DomainFeatures,
    arms: dict[str, tuple[DomainFeatures, float]],
    neighbors: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The rows of one site.

    Args:
        source: The source's tiles.
        target: The site's tiles.
        arms: Arm -> (its synthetic tiles, their share of the arm's training tiles).
        neighbors: Size of the neighbourhood of the kNN mixing, tiles.
        seed: Seed of every draw.
    """
    rng = np.random.default_rng(seed)
    mixes = {arm: _mix(source, synthetic, share, rng) for arm, (synthetic, share) in arms.items()}
    prepared = {"": domain_distances(source, target, neighbors, seed)}
    prepared |= {arm: domain_distances(mix, target, neighbors, seed) for arm, (mix, _) in mixes.items()}

    def values(
        of_source: TileCounts, of_target: TileCounts, synthetic: dict[str, TileCounts]
    ) -> dict[tuple[str, str], float]:
        weights = {"": of_source} | {
            arm: np.concatenate([of_source[kept], synthetic[arm]]) for arm, (_, kept) in mixes.items()
        }
        return {
            (arm, metric): measure(weights[arm], of_target)
            for arm, named in prepared.items()
            for metric, measure in named.items()
        }

    once = {arm: np.ones(len(mix) - len(kept), np.int64) for arm, (mix, kept) in mixes.items()}
    value = values(source.ones(), target.ones(), once)
    resampled = []
    if min(len(set(source.groups)), len(set(target.groups))) > 1:
        for _ in range(REPLICATES):
            drawn = {arm: _draw(np.arange(len(ones)), rng) for arm, ones in once.items()}
            resampled.append(values(_draw(source.groups, rng), _draw(target.groups, rng), drawn))
    return [
        _row(arm, metric, value, pd.DataFrame(resampled, columns=pd.MultiIndex.from_tuples(value)))
        for metric in SCALES
        for arm in prepared
    ]


def _row(arm: str, metric: str, value: dict[tuple[str, str], float], resampled: pd.DataFrame) -> dict[str, Any]:
    sign, least, greatest = SCALES[metric]
    with_arm, bare = value[arm, metric], value["", metric]
    low, high = np.clip(_interval(with_arm, resampled[arm, metric]), least, greatest)
    row = {"metric": metric, "value": with_arm, "low": low, "high": high, "with_arm": arm}
    if not arm:
        return {**row, "gap": ""}
    change_low, change_high = _interval(with_arm - bare, resampled[arm, metric] - resampled["", metric])
    grown = sorted((sign * change_low, sign * change_high))
    gap = "fell" if grown[1] < 0 else "rose" if grown[0] > 0 else "not shown"
    return {**row, "change": with_arm - bare, "change_low": change_low, "change_high": change_high, "gap": gap}


def _interval(value: float, resampled: "pd.Series[float]") -> tuple[float, float]:
    if resampled.isna().all():
        return np.nan, np.nan
    low, middle, high = np.nanquantile(resampled, [0.025, 0.5, 0.975])
    return value + low - middle, value + high - middle


def _mix(
    source: DomainFeatures, synthetic: DomainFeatures, share: float, rng: np.random.Generator
) -> tuple[DomainFeatures, Any]:
    """As many tiles as the source has, `share` of them synthetic; and which source tiles stay."""
    count = min(max(round(share * len(source)), 1), len(synthetic), len(source) - 1)
    kept = np.sort(rng.choice(len(source), len(source) - count, replace=False))
    chosen = np.sort(rng.choice(len(synthetic), count, replace=False))
    return DomainFeatures(
        np.concatenate([source.features[kept], synthetic.features[chosen]]),
        np.concatenate([source.reduced[kept], synthetic.reduced[chosen]]),
        np.concatenate([source.groups[kept], synthetic.groups[chosen]]),
    ), kept


def _draw(groups: npt.NDArray[Any], rng: np.random.Generator) -> TileCounts:
    """How often each tile counts when its groups are drawn with replacement, [n]."""
    names, index = np.unique(groups.astype(str), return_inverse=True)
    return rng.multinomial(len(names), np.full(len(names), 1 / len(names)))[index]
