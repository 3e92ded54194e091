"""Four distances between two domains of tiles, each a function of how often every tile counts.

A distance is prepared once on both domains' features; resampling then only changes the weights. A tile that a
resampling draws twice is never compared with itself, so what is measured between pairs is not biased by it; the
distribution distance is, and its interval is moved for that (see `domain_gap`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from components.core.fidelity.fid import frechet_distance

FloatArray = npt.NDArray[np.float64]
TileCounts = npt.NDArray[np.int64]
DomainDistance = Callable[[TileCounts, TileCounts], float]

FRECHET, KERNEL, MIXING, SEPARABILITY = "Fréchet domain distance", "KID", "kNN mixing", "domain-classifier AUC"
# measure -> (sign of a growing gap, least value, greatest value)
SCALES = {
    FRECHET: (1, 0.0, np.inf),
    KERNEL: (1, -np.inf, np.inf),
    MIXING: (-1, 0.0, np.inf),
    SEPARABILITY: (1, 0.0, 1.0),
}


@dataclass(frozen=True)
class DomainFeatures:
    """Tiles of one domain.

    Attributes:
        features: As extracted, [n, d].
        reduced: On the leading principal components of all real tiles, [n, k].
        groups: What is resampled and held out together: a patient, or one tile, [n].
    """

    features: FloatArray
    reduced: FloatArray
    groups: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.features)

    def ones(self) -> TileCounts:
        """Every tile once."""
        return np.ones(len(self), np.int64)


def domain_distances(a: DomainFeatures, b: DomainFeatures, neighbors: int, seed: int) -> dict[str, DomainDistance]:
    """The four distances between two domains, by name."""
    return {
        FRECHET: frechet(a, b),
        KERNEL: kernel(a, b),
        MIXING: mixing(a, b, neighbors),
        SEPARABILITY: separability(a, b, seed),
    }


def frechet(a: DomainFeatures, b: DomainFeatures) -> DomainDistance:
    """Fréchet distance of the two Gaussians (arXiv 2405.09934), on the principal components."""

    def value(of_a: TileCounts, of_b: TileCounts) -> float:
        return frechet_distance(np.repeat(a.reduced, of_a, axis=0), np.repeat(b.reduced, of_b, axis=0))

    return value


def kernel(a: DomainFeatures, b: DomainFeatures) -> DomainDistance:
    """Unbiased squared MMD with the cubic kernel of KID (arXiv 1801.01401), on all features."""
    within_a, within_b = _cubic(a.features, a.features), _cubic(b.features, b.features)
    across = _cubic(a.features, b.features)

    def within(gram: FloatArray, weights: TileCounts) -> float:
        squares = weights**2
        return float((weights @ gram @ weights - squares @ gram.diagonal()) / (weights.sum() ** 2 - squares.sum()))

    def value(of_a: TileCounts, of_b: TileCounts) -> float:
        mean_across = of_a @ across @ of_b / (of_a.sum() * of_b.sum())
        return float(within(within_a, of_a) + within(within_b, of_b) - 2 * mean_across)

    return value


def mixing(a: DomainFeatures, b: DomainFeatures, neighbors: int) -> DomainDistance:
    """Share of a tile's nearest tiles that are of the other domain, over the share that chance gives: 1 = mixed.

    Tiles of its own patient do not count as neighbours: they are near in any case. The graph stays when patients are
    resampled.
    """
    points = np.concatenate([a.reduced, b.reduced])
    groups = np.concatenate([a.groups, b.groups])
    in_b = np.arange(len(points)) >= len(a)
    distance = pairwise_distances(points)
    distance[groups[:, None] == groups[None, :]] = np.inf
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :neighbors]
    reachable = np.isfinite(distance)
    other = in_b[:, None] != in_b[None, :]
    counted = np.take_along_axis(reachable, nearest, axis=1)
    found = (np.take_along_axis(other, nearest, axis=1) & counted).sum(1) / np.maximum(counted.sum(1), 1)
    expected = (other & reachable).sum(1) / np.maximum(reachable.sum(1), 1)
    ratio = found / np.maximum(expected, 1e-12)

    def value(of_a: TileCounts, of_b: TileCounts) -> float:
        return float((np.average(ratio[~in_b], weights=of_a) + np.average(ratio[in_b], weights=of_b)) / 2)

    return value


def separability(a: DomainFeatures, b: DomainFeatures, seed: int) -> DomainDistance:
    """AUC of a logistic regression that separates the domains, on patients that it was not fitted on.

    NaN where a domain has a single patient: there is nobody left to test on. Scores stay when patients are resampled.
    """
    folds = min(5, len(set(a.groups)), len(set(b.groups)))
    if folds < 2:
        return lambda of_a, of_b: float("nan")
    truth = np.arange(len(a) + len(b)) >= len(a)
    scores = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)),
        np.concatenate([a.reduced, b.reduced]),
        truth,
        groups=np.concatenate([a.groups, b.groups]),
        cv=StratifiedGroupKFold(folds, shuffle=True, random_state=seed),
        method="decision_function",
    )

    def value(of_a: TileCounts, of_b: TileCounts) -> float:
        return float(roc_auc_score(truth, scores, sample_weight=np.concatenate([of_a, of_b])))

    return value


def _cubic(a: FloatArray, b: FloatArray) -> FloatArray:
    gram: FloatArray = (a @ b.T / a.shape[1] + 1) ** 3
    return gram
