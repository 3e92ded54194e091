"""Intervals: Wilson's for proportions, the stratified patient bootstrap for everything else."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from components.core.errors import ConfigError
from components.core.statistics.auroc import Floats
from components.core.statistics.metrics import METRICS, weighted_metrics
from components.core.statistics.patients import patient_codes


class Interval(NamedTuple):
    """An estimate and the ends of its interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval (1927) of a proportion; undefined for n = 0."""
    if n == 0:
        return Interval(None, None, None)
    share = successes / n
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    return Interval(share, min(float(low), share), max(float(high), share))  # at 0 and 1 it is off by a rounding


def bootstrap_interval(
    cases: pd.DataFrame, metric: str = "auroc", *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Percentile interval of one of `METRICS`; see `metric_intervals`."""
    if metric not in METRICS:
        raise ConfigError(f"There is no metric {metric!r}: it is one of {', '.join(METRICS)}.")
    return metric_intervals(cases, resamples=resamples, seed=seed, level=level)[metric]


def metric_intervals(
    cases: pd.DataFrame, *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Percentile intervals of all metrics of one arm, by resampling patients within site and class.

    Args:
        cases: One arm's cases (`patient_predictions`).
        resamples: Bootstrap samples, the same ones for every metric.
        seed: Seed of the resampling.
        level: Coverage of the interval, 0..1.

    Returns:
        Metric -> interval.
    """
    values = weighted_metrics(cases, np.ones((1, len(cases))))
    drawn = weighted_metrics(cases, resample_weights(cases, resamples=resamples, seed=seed))
    return {name: percentile_interval(values[name][0], drawn[name], level) for name in METRICS}


def percentile_interval(value: float, drawn: Floats, level: float = 0.95) -> Interval:
    """The middle `level` of the resamples where the metric is defined."""
    known = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(known):
        return Interval(None, None, None)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def resample_weights(cases: pd.DataFrame, *, resamples: int, seed: int) -> Floats:
    """How often each case is drawn in each bootstrap sample, [resamples, n].

    Patients are drawn with replacement among those of their site with the same classes, and bring all their cases;
    so every sample has the sites and, but for patients of several cases, the class counts of the table.
    """
    rng = np.random.default_rng(seed)
    patients = patient_codes(cases)
    people = cases.groupby(["site", "patient"])["class"].agg(lambda classes: "".join(sorted(set(map(str, classes)))))
    strata = people.reset_index().groupby(["site", "class"], sort=True).indices
    drawn = np.zeros((resamples, len(people)))
    for members in strata.values():
        n = len(members)
        slots = rng.integers(n, size=(resamples, n)) + n * np.arange(resamples)[:, None]
        drawn[:, members] = np.bincount(slots.ravel(), minlength=resamples * n).reshape(resamples, n)
    return drawn[:, patients]
