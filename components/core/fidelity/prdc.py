"""Precision, recall, density and coverage of generated features, from k-nearest-neighbour balls."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.core.fidelity.fid import Features, check_features

_ROWS, _COLUMNS = 1024, 4096  # a block of distances is 32 MiB, whatever the sets' sizes


@dataclass(frozen=True)
class Prdc:
    """Precision, recall, density and coverage of generated features.

    Attributes:
        precision: Share of generated samples in some real ball (fidelity), 0..1.
        recall: Share of real samples in some generated ball (diversity), 0..1.
        density: Real balls around a generated sample, divided by k; 1 expected for equal distributions, may exceed it.
        coverage: Share of real balls that hold a generated sample, 0..1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(real: Features, generated: Features, *, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall, Kynkäänniemi et al. 2019, equations 1 and 2. Arguments as in `compute_prdc`."""
    result = compute_prdc(real, generated, k=k)
    return result.precision, result.recall


def compute_prdc(real: Features, generated: Features, *, k: int = 3) -> Prdc:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020) in one pass.

    A sample's ball reaches to its k-th nearest neighbour in the same set, itself excluded, surface included.

    Args:
        real: Features of real images, [n, d], n > k.
        generated: Features of generated images, [m, d], m > k.
        k: Number of nearest neighbours.
    """
    check_features(real, generated, least=k + 1)
    real_radius, generated_radius = _radius(real, k), _radius(generated, k)  # squared, [n] and [m]
    balls = np.zeros(len(generated), dtype=np.int64)  # real balls around each generated sample
    covered, recalled = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for rows, columns, squared in _distances(real, generated):
        inside = squared <= real_radius[rows, None]  # [rows, columns]
        balls[columns] += inside.sum(axis=0)
        covered[rows] |= inside.any(axis=1)
        recalled[rows] |= (squared <= generated_radius[None, columns]).any(axis=1)
    return Prdc(
        precision=float((balls > 0).mean()),
        recall=float(recalled.mean()),
        density=float(balls.mean() / k),
        coverage=float(covered.mean()),
    )


def _radius(features: Features, k: int) -> npt.NDArray[np.float64]:
    """Squared distance to the k-th nearest other sample, [n]."""
    nearest: npt.NDArray[np.float64] = np.full((len(features), k), np.inf)
    for rows, columns, squared in _distances(features, features):
        index = np.arange(rows.start, rows.stop)
        itself = index[(index >= columns.start) & (index < columns.stop)]
        squared[itself - rows.start, itself - columns.start] = np.inf
        candidates = np.concatenate([nearest[rows], squared], axis=1)
        nearest[rows] = np.partition(candidates, k - 1, axis=1)[:, :k]
    return nearest.max(axis=1)


def _distances(x: Features, y: Features) -> Iterator[tuple[slice, slice, npt.NDArray[np.float64]]]:
    """Squared distances of all pairs, block by block: rows of x, rows of y, [rows, columns]."""
    centre = x.mean(axis=0, dtype=np.float64)  # |x|^2 - 2 x.y + |y|^2 cancels least around the origin
    for i in range(0, len(x), _ROWS):
        rows = slice(i, min(i + _ROWS, len(x)))
        a = x[rows] - centre
        for j in range(0, len(y), _COLUMNS):
            columns = slice(j, min(j + _COLUMNS, len(y)))
            b = y[columns] - centre
            squared = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * (a @ b.T)
            yield rows, columns, squared.clip(min=0)
