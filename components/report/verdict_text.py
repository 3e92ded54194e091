"""The sentences of a verdict: why it is better, worse, not shown or underpowered, and whether generated tiles help."""

from components.core.html.number_format import difference, fraction, p_clause
from components.core.protocol.study_plan import CONTROL
from components.core.statistics.endpoint import LEVEL, Contrast
from components.core.statistics.patients import LEAST_PER_CLASS
from components.core.statistics.verdict import BETTER, UNDERPOWERED, WORSE, ArmComparison


def reason_text(comparison: ArmComparison) -> str:
    """The sentence that says why an arm has its verdict.

    Args:
        comparison: One arm's comparison with the baseline, of `compare_arms`.
    """
    endpoint, verdict = comparison.endpoint, comparison.verdict
    arm, baseline, test = endpoint.arm, endpoint.baseline, endpoint.test
    if not comparison.secondary.cases:
        return f"{arm} and {baseline} have no case in common, so nothing can be compared."
    if test is None or endpoint.p_adjusted is None:
        return (
            f"No site has {LEAST_PER_CLASS} patients of each class that both {arm} and {baseline} predict, "
            "so no difference could be shown."
        )
    sites = ", ".join(site or "the one unnamed site" for site in endpoint.sites)
    result = (
        f"AUROC of {arm} minus {baseline} is {difference(test.difference, test.low, test.high)} "
        f"at {sites} ({endpoint.patients} patients), adjusted {p_clause(endpoint.p_adjusted)}"
    )
    sign = 1 if test.difference > 0 else -1
    if verdict in (BETTER, WORSE):
        seeds = "the one seed agrees" if len(endpoint.seed_differences) == 1 else "all seeds agree"
        balanced = fraction(endpoint.balanced_accuracy_of_better(sign), 2)
        return f"{result}; {seeds} and the balanced accuracy of {_better_arm(endpoint, sign)} is {balanced}."
    if endpoint.p_adjusted < LEVEL:
        result += f", but {' and '.join(objection_texts(endpoint, sign))}"
    power = "80 % power" if comparison.family == 1 else f"80 % power among {comparison.family} arms"
    if test.minimal_detectable >= 1:
        return f"{result}; with so few patients no difference at all would be found with {power}."
    if verdict == UNDERPOWERED:
        return (
            f"{result}; only a difference of {test.minimal_detectable:.3f} would be found with {power}, "
            f"more than the {comparison.relevant_difference:.2f} that matters."
        )
    return (
        f"{result}; a difference of {test.minimal_detectable:.3f} would have been found with {power}, "
        f"and {comparison.relevant_difference:.2f} matters."
    )


def objection_texts(endpoint: Contrast, sign: int) -> list[str]:
    """What speaks against calling the arm better (sign 1) or worse (-1), whatever its p; clauses of a sentence."""
    seeds, agreeing = len(endpoint.seed_differences), endpoint.count_agreeing_seeds(sign)
    texts = []
    if not seeds:
        texts.append("the two have no seed in common")
    elif agreeing < seeds:
        texts.append(f"only {agreeing} of {seeds} seeds agree")
    if not endpoint.is_better_than_chance(sign):
        balanced = fraction(endpoint.balanced_accuracy_of_better(sign), 2)
        texts.append(f"the balanced accuracy of {_better_arm(endpoint, sign)}, {balanced}, is not above 0.5")
    return texts


def control_text(comparison: ArmComparison) -> str:
    """Whether it is the generated tiles that help, which needs the arm's control; '' without a control."""
    control = comparison.control
    if comparison.gan_tiles_help is None or control is None:
        return ""
    arm, baseline, test = comparison.arm, comparison.baseline, control.test
    found = difference(test.difference, test.low, test.high) if test else difference(None, None, None)
    against = f"against {arm}{CONTROL} the difference is {found}"
    if control.p_adjusted is not None:
        against += f", adjusted {p_clause(control.p_adjusted)}"
    if comparison.gan_tiles_help:
        return f"Generated tiles help: {arm} is better than {baseline} and than its control; {against}."
    return (
        f"That generated tiles help is not shown, it needs {arm} to be better than {baseline} and than its control; "
        f"{against}."
    )


def _better_arm(endpoint: Contrast, sign: int) -> str:
    return endpoint.arm if sign > 0 else endpoint.baseline
