"""The verdict on every arm: the decision and the numbers behind it. Its sentences are in `components.report`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from components.core.errors import ConfigError, DataError
from components.core.protocol.study_plan import CONTROL
from components.core.statistics.endpoint import Contrast, VotedArms, adjust_p_values, contrast
from components.core.statistics.patients import patient_level
from components.core.statistics.secondary import Secondary, secondary

BETTER, NOT_SHOWN, WORSE, UNDERPOWERED = "better", "not shown", "worse", "underpowered"


@dataclass(frozen=True)
class ArmComparison:
    """An arm against the baseline.

    Attributes:
        verdict: "better", "not shown", "worse" or "underpowered".
        endpoint: The contrast that the verdict rests on.
        relevant_difference: Smallest AUROC difference that would matter, 0..1.
        family: Number of arms that the p-values are adjusted over.
        secondary: All other differences.
        control: The arm against its `-real` control; None without one.
        gan_tiles_help: True where the arm is better than the baseline and than its control; None without a control.
    """

    verdict: str
    endpoint: Contrast
    relevant_difference: float
    family: int
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
        row |= _flat(self.endpoint, "endpoint")
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
        seed: Seed of the bootstrap.

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
    for endpoint in pairs:
        control = controls.get(endpoint.arm)
        comparisons.append(
            ArmComparison(
                verdict=verdict_of(endpoint, relevant_difference),
                endpoint=endpoint,
                relevant_difference=relevant_difference,
                family=len(pairs),
                secondary=secondary(voted, endpoint),
                control=control,
                gan_tiles_help=tiles_help(endpoint, control) if control else None,
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
) -> tuple[VotedArms, list[Contrast], dict[str, Contrast]]:
    """The contrasts that verdicts rest on; arguments and errors as in `compare_arms`.

    Returns:
        The arms, voted on; every arm against the baseline; arm -> the arm against its control, where it has one.
    """
    table = patient_level(table)
    if sites:
        _check_present("site", sites, table["site"])
        table = table[table["site"].isin(sites)]
    arms = [arm for arm in arms or table["arm"].unique() if arm != baseline]
    _check_present("arm", [baseline, *arms], table["arm"])
    if not arms:
        raise DataError(f"There is no arm to compare with {baseline!r}: the table has no other arm.")
    voted = VotedArms(table[table["arm"].isin([baseline, *arms])], vote, resamples=resamples, seed=seed)
    pairs = [contrast(voted, baseline, arm, family=len(arms)) for arm in arms]
    controlled = [pair for pair in pairs if pair.arm + CONTROL in arms]
    against = [contrast(voted, pair.arm + CONTROL, pair.arm, family=len(controlled)) for pair in controlled]
    controls = adjust_p_values(against, floors=controlled)
    return voted, adjust_p_values(pairs), {control.arm: control for control in controls}


def tiles_help(endpoint: Contrast, control: Contrast) -> bool:
    """True where the arm is better than the baseline and than its control."""
    return endpoint.shows(1) and control.shows(1)


def verdict_of(endpoint: Contrast, relevant_difference: float = 0.10) -> str:
    """The verdict by the rules of `compare_arms`."""
    if endpoint.shows(1):
        return BETTER
    if endpoint.shows(-1):
        return WORSE
    if endpoint.test is None or endpoint.test.minimal_detectable > relevant_difference:
        return UNDERPOWERED
    return NOT_SHOWN


def _flat(endpoint: Contrast, prefix: str) -> dict[str, Any]:
    test = endpoint.test
    values = {
        "sites": endpoint.sites,
        "patients": endpoint.patients,
        "auroc": test.second if test else None,
        "baseline_auroc": test.first if test else None,
        "difference": test.difference if test else None,
        "low": test.low if test else None,
        "high": test.high if test else None,
        "p": test.p if test else None,
        "p_adjusted": endpoint.p_adjusted,
        "minimal_detectable": test.minimal_detectable if test else None,
        "seed_differences": endpoint.seed_differences,
        "balanced_accuracy": endpoint.balanced_accuracy,
        "baseline_balanced_accuracy": endpoint.baseline_balanced_accuracy,
    }
    return {f"{prefix}_{name}": value for name, value in values.items()}


def _check_present(kind: str, names: Sequence[str], column: pd.Series) -> None:
    present = [str(name) for name in column.unique()]
    for name in names:
        if name not in present:
            raise ConfigError(f"There are no predictions of {kind} {name!r}; there are {', '.join(present)}.")
