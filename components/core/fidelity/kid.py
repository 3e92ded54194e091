"""Kernel distance (KID): unbiased squared MMD under a cubic kernel, with a standard error that counts every sample."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.core.fidelity.fid import Features, check_features

Draw = Callable[[int, int], npt.NDArray[np.intp]]


@dataclass(frozen=True)
class KernelDistance:
    """A kernel distance.

    Attributes:
        value: Mean over the subsets; unbiased, so it may be below 0.
        standard_error: Standard error of `value` as an estimate for the populations; NaN for subsets of two.
        sampling_error: Part of it that more generated samples and more subsets would remove, the real ones unchanged.
    """

    value: float
    standard_error: float
    sampling_error: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval, value +- 1.96 standard errors."""
        return self.value - 1.96 * self.standard_error, self.value + 1.96 * self.standard_error


def kernel_distance(
    features_a: Features,
    features_b: Features,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
    draw: Draw | None = None,
) -> KernelDistance:
    """KID of Binkowski et al. 2018: k(x, y) = (x.y / d + 1)^3, the mean of the unbiased MMD^2 over random subsets.

    The standard error is the two-sample delete-one jackknife's, scaled from the subset to the whole sample. The usual
    spread over subsets only says how much was subsampled: it is 0 when a subset is the whole sample.

    Args:
        features_a: Features of real images, [n, d].
        features_b: Features of generated images, [m, d].
        subsets: Number of subsets; one where a subset is all of both sets.
        subset_size: Samples of each set in a subset, at most min(n, m).
        seed: Seed of the subsets.
        draw: Function (population, size) -> distinct indices, in place of `seed`; called for the generated set, then
            for the real one.

    Returns:
        Value and standard errors.
    """
    check_features(features_a, features_b)
    size = min(subset_size, len(features_a), len(features_b))
    if size == len(features_a) == len(features_b):
        subsets = 1
    draw = draw or _draw_with_seed(seed)
    values, spread_a, spread_b = [], [], []
    for _ in range(subsets):
        b = features_b[draw(len(features_b), size)]
        a = features_a[draw(len(features_a), size)]
        value, variance_a, variance_b = _subset(a, b)
        values.append(value)
        spread_a.append(variance_a)
        spread_b.append(variance_b)
    share_a, share_b = size / len(features_a), size / len(features_b)
    real, generated = float(np.mean(spread_a)), float(np.mean(spread_b))
    sampling = real * (1 - share_a) / subsets + generated * (share_b + (1 - share_b) / subsets)
    return KernelDistance(float(np.mean(values)), float(np.sqrt(sampling + real * share_a)), float(np.sqrt(sampling)))


def _draw_with_seed(seed: int) -> Draw:
    rng = np.random.default_rng(seed)
    return lambda population, size: rng.choice(population, size, replace=False)


def _subset(a: Features, b: Features) -> tuple[float, float, float]:
    """MMD^2 of one subset and its jackknife variance in a and in b."""
    size, d = a.shape
    a, b = (one.astype(np.result_type(one, np.float32), copy=False) for one in (a, b))
    within_a, within_b = _kernel(a, a, d), _kernel(b, b, d)  # [size, size]
    np.fill_diagonal(within_a, 0)
    np.fill_diagonal(within_b, 0)
    across = _kernel(a, b, d)
    rows_a, rows_b = (one.sum(axis=1, dtype=np.float64) for one in (within_a, within_b))  # [size]
    across_a, across_b = (across.sum(axis=axis, dtype=np.float64) for axis in (1, 0))
    pairs = size * (size - 1)
    value = (rows_a.sum() + rows_b.sum()) / pairs - 2 * across_a.sum() / size**2
    return (
        float(value),
        _jackknife(rows_a, across_a, rows_b.sum() / pairs),
        _jackknife(rows_b, across_b, rows_a.sum() / pairs),
    )


def _kernel(x: Features, y: Features, d: int) -> Features:
    return (x @ y.T / d + 1) ** 3


def _jackknife(rows: npt.NDArray[np.float64], across: npt.NDArray[np.float64], other: np.float64 | float) -> float:
    """Variance of the MMD^2 over leaving out each sample of one set (Efron and Stein 1981: not biased downwards)."""
    size = len(rows)
    if size < 3:
        return float("nan")
    within = (rows.sum() - 2 * rows) / ((size - 1) * (size - 2))  # [size]
    cross = (across.sum() - across) / ((size - 1) * size)
    without = within + other - 2 * cross
    return float((size - 1) * without.var())
