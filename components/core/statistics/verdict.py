"""The verdict on every arm, and the sentence that says why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from components.core.errors import ConfigError, DataError
from components.core.html.number_format import difference, fraction, p_clause
from components.core.protocol.study_plan import CONTROL
from components.core.statistics.endpoint import LEVEL, Arms, Contrast, adjusted, contrast
from components.core.statistics.patients import LEAST_PER_CLASS, patient_level
from components.core.statistics.secondary import Secondary, secondary

BETTER, NOT_SHOWN, WORSE, UNDERPOWERED = "better", "not shown", "worse", "underpowered"


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
        row |= {"reason": self.reason, **_flat(self.endpoint, "endpoint")}
        row["relevant_difference"] = self.relevant_difference
        row |= self.secondary.row()
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
    voted, pairs, controls = endpoints(
        table, baseline=baseline, arms=arms, sites=sites, vote=vote, resamples=resamples, seed=seed
    )
    comparisons = []
    for one in pairs:
        verdict = verdict_of(one, relevant_difference)
        control = controls.get(one.arm)
        beside = secondary(voted, one)
        comparisons.append(
            ArmComparison(
                verdict=verdict,
                reason=_reason(verdict, one, relevant_difference, len(pairs), beside.cases),
                endpoint=one,
                relevant_difference=relevant_difference,
                secondary=beside,
                control=control,
                gan_tiles_help=tiles_help(one, control) if control else None,
            )
        )
    return comparisons


def endpoints(
    table: pd.DataFrame,
    *,
    baseline: str = "none",
    arms: Sequence[str] | None = None,
    sites: Sequence[str] | None = None,
    vote: str = "majority",
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[Arms, list[Contrast], dict[str, Contrast]]:
    """What verdicts rest on; arguments and errors as of `compare_arms`.

    Returns:
        The arms, voted on; every arm against the baseline; arm -> the arm against its control, where it has one.
    """
    table = patient_level(table)
    if sites:
        _known("site", sites, table["site"])
        table = table[table["site"].isin(sites)]
    arms = [arm for arm in arms or table["arm"].unique() if arm != baseline]
    _known("arm", [baseline, *arms], table["arm"])
    if not arms:
        raise DataError(f"There is no arm to compare with {baseline!r}: the table has no other.")
    voted = Arms(table[table["arm"].isin([baseline, *arms])], vote, resamples=resamples, seed=seed)
    pairs = [contrast(voted, baseline, arm, family=len(arms)) for arm in arms]
    controlled = [one for one in pairs if one.arm + CONTROL in arms]
    against = [contrast(voted, one.arm + CONTROL, one.arm, family=len(controlled)) for one in controlled]
    return voted, adjusted(pairs), {one.arm: one for one in adjusted(against, floors=controlled)}


def tiles_help(one: Contrast, control: Contrast) -> bool:
    """True where the arm is better than the baseline and than its control."""
    return one.shows(1) and control.shows(1)


def verdict_of(one: Contrast, relevant_difference: float = 0.10) -> str:
    """The verdict by the rules of `compare_arms`."""
    if one.shows(1):
        return BETTER
    if one.shows(-1):
        return WORSE
    if one.test is None or one.test.minimal_detectable > relevant_difference:
        return UNDERPOWERED
    return NOT_SHOWN


def _reason(verdict: str, one: Contrast, relevant_difference: float, family: int, common: int) -> str:
    if not common:
        return f"{one.arm} and {one.baseline} have no case in common, so nothing can be compared."
    if one.test is None or one.p_adjusted is None:
        return (
            f"No site has {LEAST_PER_CLASS} patients of each class that both {one.arm} and {one.baseline} predict, "
            "so no difference could be shown."
        )
    test = one.test
    sign = 1 if test.difference > 0 else -1
    places = ", ".join(site or "the one unnamed site" for site in one.sites)
    found = (
        f"AUROC of {one.arm} minus {one.baseline} is {difference(test.difference, test.low, test.high)} "
        f"at {places} ({one.patients} patients), adjusted {p_clause(one.p_adjusted)}"
    )
    if verdict in (BETTER, WORSE):
        winner, balanced = one.arm, one.balanced_accuracy
        if verdict == WORSE:
            winner, balanced = one.baseline, one.baseline_balanced_accuracy
        seeds = "the one seed agrees" if len(one.seed_differences) == 1 else "all seeds agree"
        return f"{found}; {seeds} and the balanced accuracy of {winner} is {fraction(balanced, 2)}."
    if one.p_adjusted < LEVEL:
        found += f", but {' and '.join(one.objections(sign))}"
    power = "80 % power" if family == 1 else f"80 % power among {family} arms"
    if test.minimal_detectable >= 1:
        return f"{found}; with so few patients no difference at all would be found with {power}."
    if verdict == UNDERPOWERED:
        return (
            f"{found}; only a difference of {test.minimal_detectable:.3f} would be found with {power}, "
            f"more than the {relevant_difference:.2f} that matters."
        )
    return (
        f"{found}; a difference of {test.minimal_detectable:.3f} would have been found with {power}, "
        f"and {relevant_difference:.2f} matters."
    )


def _flat(one: Contrast, prefix: str) -> dict[str, Any]:
    test = one.test
    values = {
        "sites": one.sites,
        "patients": one.patients,
        "auroc": test.second if test else None,
        "baseline_auroc": test.first if test else None,
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
