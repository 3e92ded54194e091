"""The verdict on every arm, and the sentence that says why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.core.errors import ConfigError, DataError
from components.core.statistics.endpoint import LEVEL, Arms, Contrast, adjusted, contrast
from components.core.statistics.intervals import Interval, percentile_interval, resampled_weights
from components.core.statistics.metrics import weighted_metrics
from components.core.statistics.paired_tests import delong, mcnemar
from components.core.statistics.patients import patient_level
from components.core.study import CONTROL

BETTER, NOT_SHOWN, WORSE, UNDERPOWERED = "better", "not shown", "worse", "underpowered"
_SECONDARY = ("accuracy", "balanced_accuracy", "macro_f1", "sensitivity", "specificity", "auroc", "brier")


@dataclass(frozen=True)
class Secondary:
    """What else two arms differ in, on all cases of both; it carries no verdict.

    Attributes:
        cases: Predicted by both arms, at all sites.
        differences: Metric -> arm minus baseline, with its percentile interval.
        mcnemar_gained: Cases only the arm gets right.
        mcnemar_lost: Cases only the baseline gets right.
        mcnemar_p: Exact, from the votes; None without common cases.
        delong_p: Paired, all cases pooled; None where it has no variance.
        approximate: True where a patient has several cases, which McNemar and DeLong take as independent.
    """

    cases: int
    differences: dict[str, Interval]
    mcnemar_gained: int
    mcnemar_lost: int
    mcnemar_p: float | None
    delong_p: float | None
    approximate: bool


@dataclass(frozen=True)
class ArmComparison:
    """An arm against the baseline.

    Attributes:
        verdict: "better", "not shown", "worse" or "underpowered".
        reason: The sentence that says why.
        endpoint: What the verdict rests on.
        relevant_difference: Smallest AUROC difference that would matter.
        secondary: Everything else.
        control: The arm against its `-real` control; None without one.
        gan_tiles_help: True where the arm is better than the baseline and than its control; None without a control.
    """

    verdict: str
    reason: str
    endpoint: Contrast
    relevant_difference: float
    secondary: Secondary
    control: Contrast | None
    gan_tiles_help: bool | None

    @property
    def arm(self) -> str:
        """The arm's name."""
        return self.endpoint.arm

    @property
    def baseline(self) -> str:
        """The baseline's name."""
        return self.endpoint.baseline

    def row(self) -> dict[str, Any]:
        """One flat row, ready for JSON: `endpoint_*` the primary, `METRIC_difference*` the secondary ones."""
        row: dict[str, Any] = {"baseline": self.baseline, "arm": self.arm, "verdict": self.verdict}
        row |= {"reason": self.reason, **_flat(self.endpoint, "endpoint"), "cases": self.secondary.cases}
        row["relevant_difference"] = self.relevant_difference
        for metric, (value, low, high) in self.secondary.differences.items():
            name = f"{metric}_difference"
            row |= {name: value, f"{name}_low": low, f"{name}_high": high}
        for name in ("mcnemar_gained", "mcnemar_lost", "mcnemar_p", "delong_p", "approximate"):
            row[name] = getattr(self.secondary, name)
        row["gan_tiles_help"] = self.gan_tiles_help
        return row | (_flat(self.control, "control") if self.control else {})


def compare_arms(
    table: pd.DataFrame,
    *,
    baseline: str = "none",
    arms: Sequence[str] | None = None,
    sites: Sequence[str] | None = None,
    vote: str = "majority",
    relevant_difference: float = 0.10,
    resamples: int = 2000,
    seed: int = 0,
) -> list[ArmComparison]:
    """Compares every arm with the baseline on the patients that both predict.

    Primary endpoint: the difference in site-stratified patient AUROC (only within-site pairs, sites with at least 5
    patients of each class, two-sided patient bootstrap), Holm-adjusted over all arms. Verdict:

    - better: adjusted p < 0.05, difference > 0, the arm's balanced accuracy > 0.5, the same sign in every seed;
    - worse: the mirror image: difference < 0, and it is the baseline's balanced accuracy that exceeds 0.5;
    - underpowered: else, where the minimal detectable difference (80 % power, alpha 0.05 / number of arms) exceeds the
      relevant one, or no site qualifies;
    - not shown: else.

    "GAN tiles help" needs X better than the baseline and than X-real. Its p is the larger of the two, Holm-adjusted
    over the arms that have a control.

    Args:
        table: Predictions of all arms (see `as_predictions`). Sites without patients take no part. A case's class is
            the baseline's.
        baseline: The arm that the others are compared with.
        arms: Arms of the plan, the family of the adjustment; default all others in the table, in their order.
        sites: Sites that take part; default all.
        vote: "majority" or "probability": how tiles make a case's class. Scores are mean probabilities under both.
        relevant_difference: Smallest AUROC difference that would matter, 0..1.
        resamples: Bootstrap samples, at least 2000 for a result.
        seed: Of the bootstrap.

    Returns:
        One comparison per arm.

    Raises:
        ConfigError: For an arm or site that the table does not have.
        DataError: For a table that cannot be compared.
    """
    table = patient_level(table)
    if sites:
        _known("site", sites, table["site"])
        table = table[table["site"].isin(sites)]
    arms = [arm for arm in arms or table["arm"].unique() if arm != baseline]
    _known("arm", [baseline, *arms], table["arm"])
    if not arms:
        raise DataError(f"There is no arm to compare with {baseline!r}: the table has no other.")
    voted = Arms(table[table["arm"].isin([baseline, *arms])], vote)

    def drawn(first: str, second: str, family: int) -> Contrast:
        return contrast(voted, first, second, family=family, resamples=resamples, seed=seed)

    pairs = [drawn(baseline, arm, len(arms)) for arm in arms]
    controlled = [one for one in pairs if one.arm + CONTROL in arms]
    against = [drawn(one.arm + CONTROL, one.arm, len(controlled)) for one in controlled]
    controls = {one.arm: one for one in adjusted(against, floors=controlled)}
    comparisons = []
    for one in adjusted(pairs):
        verdict = _verdict(one, relevant_difference)
        control = controls.get(one.arm)
        comparisons.append(
            ArmComparison(
                verdict=verdict,
                reason=_reason(verdict, one, relevant_difference, len(arms)),
                endpoint=one,
                relevant_difference=relevant_difference,
                secondary=_secondary(*voted.common(baseline, one.arm), resamples=resamples, seed=seed),
                control=control,
                gan_tiles_help=verdict == BETTER and control.shows(1) if control else None,
            )
        )
    return comparisons


def _verdict(one: Contrast, relevant_difference: float) -> str:
    if one.shows(1):
        return BETTER
    if one.shows(-1):
        return WORSE
    if one.test is None or one.test.minimal_detectable > relevant_difference:
        return UNDERPOWERED
    return NOT_SHOWN


def _reason(verdict: str, one: Contrast, relevant_difference: float, family: int) -> str:
    if one.test is None or one.p_adjusted is None:
        return (
            f"No site has 5 patients of each class that both {one.arm} and {one.baseline} predict, "
            "so no difference could be shown."
        )
    test = one.test
    sign = 1 if test.difference > 0 else -1
    places = ", ".join(site or "the one unnamed site" for site in one.sites)
    found = (
        f"AUROC of {one.arm} minus {one.baseline} is {test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}] "
        f"at {places} ({one.patients} patients), adjusted p = {one.p_adjusted:.3f}"
    )
    if verdict in (BETTER, WORSE):
        winner, balanced = one.arm, one.balanced_accuracy
        if verdict == WORSE:
            winner, balanced = one.baseline, one.baseline_balanced_accuracy
        seeds = "the one seed agrees" if len(one.seed_differences) == 1 else "all seeds agree"
        return f"{found}; {seeds} and the balanced accuracy of {winner} is {balanced:.2f}."
    if one.p_adjusted < LEVEL:
        found += f", but {' and '.join(one.objections(sign))}"
    power = "80 % power" if family == 1 else f"80 % power among {family} arms"
    if verdict == UNDERPOWERED:
        return (
            f"{found}; only a difference of {test.minimal_detectable:.2f} would be found with {power}, "
            f"more than the {relevant_difference:.2f} that matters."
        )
    return (
        f"{found}; a difference of {test.minimal_detectable:.2f} would have been found with {power}, "
        f"and {relevant_difference:.2f} matters."
    )


def _secondary(first: pd.DataFrame, second: pd.DataFrame, *, resamples: int, seed: int) -> Secondary:
    if first.empty:
        unknown = Interval(None, None, None)
        return Secondary(0, dict.fromkeys(_SECONDARY, unknown), 0, 0, None, None, False)
    weights = np.vstack([np.ones((1, len(first))), resampled_weights(first, resamples=resamples, seed=seed)])
    base, arm = weighted_metrics(first, weights), weighted_metrics(second, weights)  # row 0: the cases themselves
    differences = {name: arm[name] - base[name] for name in _SECONDARY}
    votes, areas = mcnemar(first, second), delong(first, second)
    return Secondary(
        cases=len(first),
        differences={name: percentile_interval(one[0], one[1:]) for name, one in differences.items()},
        mcnemar_gained=votes.gained,
        mcnemar_lost=votes.lost,
        mcnemar_p=votes.p,
        delong_p=areas.p if areas else None,
        approximate=bool(first.duplicated(["site", "patient"]).any()),
    )


def _flat(one: Contrast, prefix: str) -> dict[str, Any]:
    test = one.test
    values = {
        "sites": one.sites,
        "patients": one.patients,
        "difference": test.difference if test else None,
        "low": test.low if test else None,
        "high": test.high if test else None,
        "p": test.p if test else None,
        "p_adjusted": one.p_adjusted,
        "minimal_detectable": test.minimal_detectable if test else None,
        "seed_differences": one.seed_differences,
        "balanced_accuracy": one.balanced_accuracy,
        "baseline_balanced_accuracy": one.baseline_balanced_accuracy,
    }
    return {f"{prefix}_{name}": value for name, value in values.items()}


def _known(kind: str, named: Sequence[str], there: pd.Series) -> None:
    present = [str(one) for one in there.unique()]
    for one in named:
        if one not in present:
            raise ConfigError(f"There are no predictions of {kind} {one!r}; there are {', '.join(present)}.")
