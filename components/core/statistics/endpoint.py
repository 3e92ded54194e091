"""The primary endpoint: the difference of two arms in site-stratified patient AUROC."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from components.core.statistics.bootstrap import Bootstrap
from components.core.statistics.metrics import patient_metrics, weighted_metrics
from components.core.statistics.paired_tests import AurocDifference, auroc_difference, holm
from components.core.statistics.patients import patient_predictions, qualifying_sites

LEVEL = 0.05


@dataclass(frozen=True)
class Contrast:
    """The primary endpoint for two arms, on their common cases at the qualifying sites.

    Attributes:
        baseline: Name of the arm compared with.
        arm: Name of the arm.
        sites: Sites with at least 5 patients of each class.
        patients: Number of patients at these sites.
        test: Difference, interval, p, minimal detectable difference; None without such a site.
        p_adjusted: Holm's; None without a test.
        seed_differences: Classifier seed -> difference, for the seeds that both arms have.
        balanced_accuracy: Balanced accuracy of the arm on the same cases, 0..1.
        baseline_balanced_accuracy: Balanced accuracy of the baseline on the same cases, 0..1.
    """

    baseline: str
    arm: str
    sites: list[str]
    patients: int
    test: AurocDifference | None = None
    p_adjusted: float | None = None
    seed_differences: dict[str, float] = field(default_factory=dict)
    balanced_accuracy: float | None = None
    baseline_balanced_accuracy: float | None = None

    def shows(self, sign: int) -> bool:
        """Whether the arm is better (sign 1) or worse (-1): significant, all seeds agree, and better than chance."""
        if self.test is None or self.p_adjusted is None:
            return False
        all_agree = 0 < len(self.seed_differences) == self.count_agreeing_seeds(sign)
        is_significant = self.p_adjusted < LEVEL and sign * self.test.difference > 0
        return is_significant and all_agree and self.is_better_than_chance(sign)

    def count_agreeing_seeds(self, sign: int) -> int:
        """Number of classifier seeds whose difference has this sign."""
        return sum(sign * value > 0 for value in self.seed_differences.values())

    def balanced_accuracy_of_better(self, sign: int) -> float | None:
        """Balanced accuracy of the arm for sign 1, of the baseline for sign -1."""
        return self.balanced_accuracy if sign > 0 else self.baseline_balanced_accuracy

    def is_better_than_chance(self, sign: int) -> bool:
        """Whether that balanced accuracy is above 0.5."""
        balanced = self.balanced_accuracy_of_better(sign)
        return balanced is not None and balanced > 0.5


class VotedArms:
    """Every arm's cases, over all seeds and seed by seed, voted on once; and the bootstrap's draws of patients."""

    def __init__(self, table: pd.DataFrame, vote: str, *, resamples: int, seed: int) -> None:
        self._all = _by_arm(table, vote)
        self._seeds = {str(value): _by_arm(rows, vote) for value, rows in table.groupby("seed")}
        self._resamples, self._seed = resamples, seed
        self._bootstraps: dict[bytes, Bootstrap] = {}

    def bootstrap(self, cases: pd.DataFrame) -> Bootstrap:
        """The bootstrap's draws of these cases, the same for equal patients and classes."""
        key = pd.util.hash_pandas_object(cases[["site", "patient", "class"]], index=False).to_numpy().tobytes()
        if key not in self._bootstraps:
            self._bootstraps[key] = Bootstrap(cases, resamples=self._resamples, seed=self._seed)
        return self._bootstraps[key]

    def common(self, baseline: str, arm: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Two arms' cases, those of both in one order; class, patient and fold are the baseline's."""
        return _align(self._all[baseline], self._all[arm])

    def common_by_seed(self, baseline: str, arm: str) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
        """The same for every seed that both arms have."""
        return {
            seed: _align(arms[baseline], arms[arm])
            for seed, arms in self._seeds.items()
            if baseline in arms and arm in arms
        }


def contrast(arms: VotedArms, baseline: str, arm: str, *, family: int) -> Contrast:
    """The endpoint for one arm, its p not yet adjusted; minimal detectable difference at alpha 0.05 / family."""
    first, second = arms.common(baseline, arm)
    sites = qualifying_sites(first)
    first, second = _at_sites(sites, first), _at_sites(sites, second)
    if first.empty:
        return Contrast(baseline, arm, [], 0)
    differences = {
        value: _auroc(_at_sites(sites, pair[1])) - _auroc(_at_sites(sites, pair[0]))
        for value, pair in arms.common_by_seed(baseline, arm).items()
    }
    return Contrast(
        baseline,
        arm,
        sites,
        patients=len(first[["site", "patient"]].drop_duplicates()),
        test=auroc_difference(first, second, arms.bootstrap(first), level=1 - LEVEL, alpha=LEVEL / family),
        seed_differences=differences,
        balanced_accuracy=_number(patient_metrics(second)["balanced_accuracy"]),
        baseline_balanced_accuracy=_number(patient_metrics(first)["balanced_accuracy"]),
    )


def adjust_p_values(contrasts: Sequence[Contrast], floors: Sequence[Contrast] = ()) -> list[Contrast]:
    """Adjusts the p-values of a family of contrasts by Holm; one without a test counts in the family as p = 1.

    Args:
        contrasts: The family.
        floors: A second contrast for each: the claim needs both, so its p is the larger one (intersection-union test).
    """
    p_values = [_p(pair) for pair in contrasts]
    if floors:
        p_values = [max(p, _p(floor)) for p, floor in zip(p_values, floors, strict=True)]
    return [
        replace(pair, p_adjusted=p if pair.test else None) for pair, p in zip(contrasts, holm(p_values), strict=True)
    ]


def _p(pair: Contrast) -> float:
    return pair.test.p if pair.test else 1.0


def _by_arm(table: pd.DataFrame, vote: str) -> dict[str, pd.DataFrame]:
    cases = patient_predictions(table, vote)
    return {str(arm): rows.reset_index(drop=True) for arm, rows in cases.groupby("arm")}


def _align(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    keys = ["site", "case"]
    if not first[keys].equals(second[keys]):
        both = first[keys].merge(second[keys])  # in the order of `first`
        first, second = both.merge(first), both.merge(second)
    return first, second.assign(**{column: first[column] for column in ("class", "patient", "fold")})


def _at_sites(sites: list[str], cases: pd.DataFrame) -> pd.DataFrame:
    return cases[cases["site"].isin(sites)].reset_index(drop=True)


def _auroc(cases: pd.DataFrame) -> float:
    return float(weighted_metrics(cases, np.ones((1, len(cases))))["auroc_within_sites"][0])


def _number(value: float | int | None) -> float | None:
    return None if value is None else float(value)
