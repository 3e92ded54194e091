"""Folds that keep sites whole: what a fold tests on comes from hospitals that it never learns from.

A hospital's stain and scanner are a signature that a network reads more easily than a disease, so patients of one
hospital on both sides of a split make a classifier look better than it is. This is the site-preserving cross-validation
of Howard et al. (Nature Communications 12, 2021): whole sites are dealt to folds, such that every stratum is spread as
evenly as they allow. Their quadratic programme is solved by descent from many random deals.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.core.errors import ConfigError
from components.core.protocol.split_plan import ALL
from components.split.patients import Patients

Deal = npt.NDArray[np.int64]

RESTARTS = 30
_EMPTY = 1e6  # a class without a patient in a fold outweighs any unevenness


def dealt_sites(people: Patients, folds: int, rng: np.random.Generator) -> dict[str, list[str]]:
    """Fold "0", "1", … -> the patients that it tests, sorted; patients of one site share a fold.

    Raises:
        ConfigError: A class is at fewer sites than there are folds.
    """
    for stratum, of_class in people.of_class.items():
        homes = {people.site[one] for one in of_class}
        if len(homes) < folds:
            fewer = f"use at most --folds {len(homes)}, or " if len(homes) > 1 else ""
            raise ConfigError(
                f"{stratum.capitalize()} is at {len(homes)} site(s), too few for {folds} folds of whole sites: {fewer}"
                "go on without --preserve-sites."
            )
    table = _Table.of(people)
    deals = np.stack([_descended(table, rng.integers(folds, size=len(table.sites)), folds) for _ in range(RESTARTS)])
    best = deals[table.unevenness(deals, folds).argmin()]
    fold_of = dict(zip(table.sites, best.tolist(), strict=True))
    return {
        str(fold): sorted(one for one, site in people.site.items() if fold_of[site] == fold) for fold in range(folds)
    }


def mixed_site(people: Patients, folds: Mapping[str, Mapping[str, Sequence[str]]]) -> tuple[str, str] | None:
    """The first (fold, site) of a cross-validation fold that tests on a site that it learns from; None = none does."""
    for fold, parts in folds.items():
        learnt = {people.site[one] for part in ("train", "val") for one in parts[part]}
        shared = sorted(learnt & {people.site[one] for one in parts["test"]})
        if fold != ALL and shared:
            return fold, shared[0]
    return None


@dataclass(frozen=True)
class _Table:
    """Sites, their patients of each stratum [sites, strata], and which strata no fold may lack [strata]."""

    sites: list[str]
    counts: npt.NDArray[np.float64]
    needed: npt.NDArray[np.bool_]

    @staticmethod
    def of(people: Patients) -> "_Table":
        sites, strata = sorted(set(people.site.values())), sorted(people.strata_names)
        counts = np.zeros((len(sites), len(strata)))
        for one, own in people.strata.items():
            for stratum in own:
                counts[sites.index(people.site[one]), strata.index(stratum)] += 1
        return _Table(sites, counts, np.array([stratum in people.of_class for stratum in strata]))

    def unevenness(self, deals: Deal, folds: int) -> npt.NDArray[np.float64]:
        """How far deals [n, sites] are from even, [n]: squared deviations of each stratum, relative to its size."""
        member = deals[:, None, :] == np.arange(folds)[:, None]  # [n, folds, sites]
        dealt = member @ self.counts  # [n, folds, strata]
        totals = self.counts.sum(axis=0)
        lacking = (dealt[..., self.needed] == 0).sum(axis=(1, 2))
        return (((dealt - totals / folds) ** 2) / totals).sum(axis=(1, 2)) + _EMPTY * lacking


def _descended(table: _Table, deal: Deal, folds: int) -> Deal:
    """From a deal [sites] to one that neither moving a site nor exchanging two makes more even."""
    while True:
        near = np.stack([deal, *_neighbours(deal, folds)])
        costs = table.unevenness(near, folds)
        if costs.min() >= costs[0] - 1e-9:
            return deal
        deal = near[costs.argmin()]


def _neighbours(deal: Deal, folds: int) -> Iterator[Deal]:
    for site, own in enumerate(deal):
        for fold in set(range(folds)) - {int(own)}:
            moved = deal.copy()
            moved[site] = fold
            yield moved
        for other in np.flatnonzero(deal[:site] != own).tolist():
            exchanged = deal.copy()
            exchanged[[site, other]] = deal[[other, site]]
            yield exchanged
