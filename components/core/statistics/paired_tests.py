"""Two arms on the same cases: exact McNemar, DeLong, the studentised patient bootstrap, and Holm over many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from components.core.statistics.auroc import Flags, Floats, Groups, pair_shares
from components.core.statistics.bootstrap import Bootstrap
from components.core.statistics.power import POWER


@dataclass(frozen=True)
class McNemar:
    """Cases only the second arm gets right, cases only the first does, and the exact two-sided p."""

    gained: int
    lost: int
    p: float


@dataclass(frozen=True)
class DeLong:
    """AUROC of two arms, second minus first, its standard error and two-sided p (None where it has no variance)."""

    first: float
    second: float
    difference: float
    standard_error: float
    p: float | None


@dataclass(frozen=True)
class AurocDifference:
    """A difference in within-site AUROC, second minus first.

    Attributes:
        first: The first arm's AUROC, 0..1.
        second: The second's.
        difference: -1..1.
        low: Lower end of the interval that belongs to `p`.
        high: Upper end of the same interval.
        standard_error: Standard error of the difference; patients are its unit.
        p: Two-sided p-value of the studentised bootstrap.
        minimal_detectable: Smallest difference found with 80 % power at the stated alpha, at most 1.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    standard_error: float
    p: float
    minimal_detectable: float


def mcnemar(first: pd.DataFrame, second: pd.DataFrame) -> McNemar:
    """Exact McNemar test of two aligned tables of cases: discordant pairs against Binomial(n, 1/2)."""
    truth = first["class"].to_numpy()
    right_first, right_second = (cases["pred_class"].to_numpy() == truth for cases in (first, second))
    gained, lost = int((right_second & ~right_first).sum()), int((right_first & ~right_second).sum())
    p = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return McNemar(gained, lost, float(p))


def delong(first: pd.DataFrame, second: pd.DataFrame) -> DeLong | None:
    """DeLong, DeLong and Clarke-Pearson's paired test (1988) in O(n log n) (Sun and Xu 2014), all pairs pooled.

    Cases count as independent; where a patient has several the result is approximate.

    Args:
        first: Cases with `class`, `prob_positive`.
        second: The same cases in the same order.

    Returns:
        The test; None with fewer than two cases in a class.
    """
    positive = first["class"].to_numpy() == 1
    if min(positive.sum(), (~positive).sum()) < 2:
        return None
    everyone = np.arange(len(first))
    alone = np.ones((1, len(first)))
    scores = [cases["prob_positive"].to_numpy(dtype=float) for cases in (first, second)]
    shares = [pair_shares(of_arm, positive, np.zeros_like(everyone), alone) for of_arm in scores]
    areas = [float(of_arm[0, positive].sum()) for of_arm in shares]
    _, error = _estimate(shares[1] - shares[0], positive, positive.astype(int), everyone, alone)
    difference, standard_error = areas[1] - areas[0], float(error[0])
    p = 1.0 if abs(difference) < 1e-12 else None
    if standard_error > 0:
        p = float(2 * stats.norm.sf(abs(difference) / standard_error))
    return DeLong(areas[0], areas[1], difference, standard_error, p)


def auroc_difference(
    first: pd.DataFrame,
    second: pd.DataFrame,
    bootstrap: Bootstrap,
    *,
    level: float = 0.95,
    alpha: float = 0.05,
) -> AurocDifference:
    """Site-stratified AUROC difference with a two-sided studentised patient bootstrap (Davison and Hinkley 1997, 5.2).

    Only pairs of a positive and a negative case of one site count. Each resample's deviation is divided by its own
    standard error (DeLong's placements, summed within patients): with a dozen negatives the plain percentile bootstrap
    calls a null difference twice too often.

    Args:
        first: Cases with `site, patient, class, prob_positive`; at least two patients per class and site.
        second: The same cases in the same order.
        bootstrap: The same cases with the bootstrap's draws.
        level: Coverage of the interval, 0..1.
        alpha: Two-sided level of the minimal detectable difference, 0..1.

    Returns:
        Difference, interval, p and minimal detectable difference.
    """
    positive, weights = bootstrap.positive, bootstrap.weights
    first_shares, second_shares = bootstrap.shares(first), bootstrap.shares(second)
    values, errors = _estimate(
        second_shares - first_shares, positive, 2 * bootstrap.sites + positive, bootstrap.patients, weights
    )
    difference, standard_error = float(values[0]), float(errors[0])
    statistic = _studentise(values[1:] - difference, errors[1:])  # [resamples]
    observed = _studentise(values[:1], errors[:1])[0]
    p = (1 + (statistic >= observed * (1 - 1e-9)).sum()) / len(weights)
    margin, needed = (_times(np.quantile(statistic, q, method="higher"), standard_error) for q in (level, 1 - alpha))
    return AurocDifference(
        first=float(first_shares[0, positive].sum()),
        second=float(second_shares[0, positive].sum()),
        difference=difference,
        low=max(difference - margin, -1.0),
        high=min(difference + margin, 1.0),
        standard_error=standard_error,
        p=float(p) if observed > 0 else 1.0,
        minimal_detectable=min(needed + float(stats.norm.ppf(POWER)) * standard_error, 1.0),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (1979), in the given order."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]] if len(p_values) else []


def _estimate(
    shares: Floats,
    positive: Flags,
    strata: Groups,
    patients: Groups,
    weights: Floats,
) -> tuple[Floats, Floats]:
    """Difference and standard error of every resample, [b] each, from differences of pair shares [b, n].

    The variance is the sum over strata (class within site) of DeLong's k/(k-1) sum of squared deviations; deviations
    of one patient's cases are summed before they are squared.
    """
    residuals = np.zeros_like(shares)
    for stratum in np.unique(strata):
        inside = strata == stratum
        drawn, share = weights[:, inside], shares[:, inside]
        people = np.unique(patients[inside], return_index=True)[1]
        count = drawn[:, people].sum(axis=1, keepdims=True)  # patients drawn
        mean = (drawn * share).sum(axis=1, keepdims=True) / np.maximum(drawn.sum(axis=1, keepdims=True), 1)
        residuals[:, inside] = (share - mean) * np.sqrt(count / np.maximum(count - 1, 1))
    order = np.argsort(patients, kind="stable")
    starts = np.unique(patients[order], return_index=True)[1]
    by_patient = np.add.reduceat(residuals[:, order], starts, axis=1)  # [b, patients]
    variance = (weights[:, order][:, starts] * by_patient**2).sum(axis=1)
    variance[variance < 1e-20] = 0  # rounding of cases that are all placed alike
    return (shares * weights * positive).sum(axis=1), np.sqrt(variance)


def _studentise(deviation: Floats, error: Floats) -> Floats:
    """|deviation| / error, [b]; 0 for no deviation, infinite for one without an error."""
    size = np.where(np.abs(deviation) < 1e-12, 0, np.abs(deviation))
    return np.where(error > 0, size / np.where(error > 0, error, 1), np.where(size > 0, np.inf, 0))


def _times(quantile: float, error: float) -> float:
    return float(quantile * error) if error > 0 else 0.0
