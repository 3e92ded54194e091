"""Folds that keep sites whole: what a fold tests on comes from hospitals that it never trains on.

A hospital's stain and scanner are a signature that a network reads more easily than a disease, so patients of one
hospital on both sides of a split make a classifier look better than it is. This is the site-preserving cross-validation
of Howard et al. (Nature Communications 12, 2021): whole sites are assigned to folds, such that every stratum is spread
as evenly as they allow. Their quadratic programme is solved by descent from many random assignments.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.core.errors import ConfigError
from components.core.protocol.split_plan import ALL
from components.split.patients import Patients

Assignment = npt.NDArray[np.int64]  # fold of each site

RESTARTS = 30
_EMPTY = 1e6  # a class without a patient in a fold outweighs any unevenness


def assign_sites(cohort: Patients, folds: int, rng: np.random.Generator) -> dict[str, list[str]]:
    """Fold "0", "1", … -> the patients that it tests, sorted; patients of one site share a fold.

    Raises:
        ConfigError: A class is at fewer sites than there are folds.
    """
    for stratum, of_class in cohort.of_class.items():
        sites = {cohort.site[identity] for identity in of_class}
        if len(sites) < folds:
            fewer = f"use at most --folds {len(sites)}, or " if len(sites) > 1 else ""
            raise ConfigError(
                f"{stratum.capitalize()} is at {len(sites)} site(s), too few for {folds} folds of whole sites: {fewer}"
                "continue without --preserve-sites."
            )
    table = _SiteTable.of(cohort)
    starts = (rng.integers(folds, size=len(table.sites)) for _ in range(RESTARTS))
    assignments = np.stack([_descend(table, start, folds) for start in starts])
    best = assignments[table.unevenness(assignments, folds).argmin()]
    fold_of = dict(zip(table.sites, best.tolist(), strict=True))
    return {
        str(fold): sorted(identity for identity, site in cohort.site.items() if fold_of[site] == fold)
        for fold in range(folds)
    }


def first_leaking_site(cohort: Patients, folds: Mapping[str, Mapping[str, Sequence[str]]]) -> tuple[str, str] | None:
    """The first (fold, site) of a cross-validation fold that tests on a site it trains on; None = no fold does."""
    for fold, parts in folds.items():
        learnt = {cohort.site[identity] for part in ("train", "val") for identity in parts[part]}
        shared = sorted(learnt & {cohort.site[identity] for identity in parts["test"]})
        if fold != ALL and shared:
            return fold, shared[0]
    return None


@dataclass(frozen=True)
class _SiteTable:
    """Sites, their patients of each stratum [sites, strata], and which strata no fold may lack [strata]."""

    sites: list[str]
    counts: npt.NDArray[np.float64]
    needed: npt.NDArray[np.bool_]

    @staticmethod
    def of(cohort: Patients) -> "_SiteTable":
        sites, strata = sorted(set(cohort.site.values())), sorted(cohort.strata_names)
        counts = np.zeros((len(sites), len(strata)))
        for identity, of_patient in cohort.strata.items():
            for stratum in of_patient:
                counts[sites.index(cohort.site[identity]), strata.index(stratum)] += 1
        return _SiteTable(sites, counts, np.array([stratum in cohort.of_class for stratum in strata]))

    def unevenness(self, assignments: Assignment, folds: int) -> npt.NDArray[np.float64]:
        """How far assignments [n, sites] are from even, [n]: squared deviations of strata, relative to their sizes."""
        member = assignments[:, None, :] == np.arange(folds)[:, None]  # [n, folds, sites]
        in_fold = member @ self.counts  # [n, folds, strata]
        totals = self.counts.sum(axis=0)
        lacking = (in_fold[..., self.needed] == 0).sum(axis=(1, 2))
        uneven: npt.NDArray[np.float64] = (((in_fold - totals / folds) ** 2) / totals).sum(axis=(1, 2))
        return uneven + _EMPTY * lacking


def _descend(table: _SiteTable, assignment: Assignment, folds: int) -> Assignment:
    """From an assignment [sites] to one that neither moving a site nor exchanging two makes more even."""
    while True:
        near = np.stack([assignment, *_neighbours(assignment, folds)])
        costs = table.unevenness(near, folds)
        if costs.min() >= costs[0] - 1e-9:
            return assignment
        assignment = near[costs.argmin()]


def _neighbours(assignment: Assignment, folds: int) -> Iterator[Assignment]:
    for site, current in enumerate(assignment):
        for fold in set(range(folds)) - {int(current)}:
            moved = assignment.copy()
            moved[site] = fold
            yield moved
        for other in np.flatnonzero(assignment[:site] != current).tolist():
            exchanged = assignment.copy()
            exchanged[[site, other]] = assignment[[other, site]]
            yield exchanged
