"""The verdicts: one per arm, with its sentence, and the numbers that it rests on."""

from collections.abc import Mapping
from typing import Any

from components.core.html.number_format import difference, fraction, p_value
from components.core.html.table import Cell, TableRow
from components.core.statistics.endpoint import Contrast
from components.core.statistics.verdict import UNDERPOWERED, ArmComparison, compare_arms
from components.report.inputs import ReportInputs
from components.report.labels import Labels, arm_description
from components.report.performance import BASELINE
from components.report.verdict_text import control_text, reason_text

Comparisons = Mapping[str, ArmComparison]


def compare_with_baseline(inputs: ReportInputs) -> dict[str, ArmComparison]:
    """Arm -> its comparison with the baseline; none where no external site has patients."""
    table = inputs.external_predictions
    table = table[~table["site"].isin(inputs.study.tile_level_sites)]
    present = set(table["arm"])
    arms = [arm for arm in inputs.study.arms if arm != BASELINE and arm in present]
    if not arms or BASELINE not in present:
        return {}
    comparisons = compare_arms(
        table,
        baseline=BASELINE,
        arms=arms,
        vote=inputs.study.vote,
        relevant_difference=inputs.study.relevant_difference,
    )
    return {comparison.arm: comparison for comparison in comparisons}


def verdict_section(comparisons: Comparisons, inputs: ReportInputs, labels: Labels) -> dict[str, Any]:
    """A verdict for every arm but the baseline, in the plan's order, and the table behind them."""
    arms = [arm for arm in inputs.study.arms if arm != BASELINE]
    return {
        "verdicts": [_verdict(arm, comparisons.get(arm), inputs, labels) for arm in arms],
        "rows": [_row(comparisons[arm], labels) for arm in arms if arm in comparisons],
        "approximate": any(comparison.secondary.approximate for comparison in comparisons.values()),
    }


def endpoint_numbers(comparison: ArmComparison) -> dict[str, float | None]:
    """The numbers of the primary endpoint that the record keeps, by name."""
    test, arm = comparison.endpoint.test, comparison.arm
    return {
        f"auroc_difference_{arm}": test.difference if test else None,
        f"adjusted_p_{arm}": comparison.endpoint.p_adjusted,
        f"detectable_difference_{arm}": test.minimal_detectable if test else None,
    }


def _verdict(arm: str, comparison: ArmComparison | None, inputs: ReportInputs, labels: Labels) -> dict[str, Any]:
    word, reason = UNDERPOWERED, "No external site has patients, so the primary endpoint is not measured."
    if comparison:
        word, reason = comparison.verdict, reason_text(comparison)
    if inputs.study.demonstration:
        rule = f" By the rule alone: {word}. {reason}" if comparison else ""
        word, reason = UNDERPOWERED, f"Demonstration data cannot be evidence.{rule}"
    return {
        "arm": arm,
        "description": arm_description(arm),
        "word": word,
        "tone": word.replace(" ", "-"),
        "reason": reason,
        "marks": _marks(arm, comparison, labels),
        "control": "" if inputs.study.demonstration or comparison is None else control_text(comparison),
    }


def _row(comparison: ArmComparison, labels: Labels) -> TableRow:
    endpoint, secondary = comparison.endpoint, comparison.secondary
    cells = [
        Cell(comparison.arm, marks=_marks(comparison.arm, comparison, labels), is_number=False),
        ", ".join(endpoint.sites) or "none qualifies",
        Cell(str(endpoint.patients)),
        Cell(_aurocs(endpoint)),
        Cell(_difference(endpoint), css_class="breaking"),
        Cell(p_value(endpoint.p_adjusted)),
        Cell(_detectable(endpoint)),
        ", ".join(f"{value:+.2f}" for value in endpoint.seed_differences.values()),
        Cell(
            f"{secondary.mcnemar_gained} : {secondary.mcnemar_lost}, p {p_value(secondary.mcnemar_p)}",
            css_class="breaking",
        ),
        Cell(p_value(secondary.delong_p)),
    ]
    return TableRow(cells)


def _marks(arm: str, comparison: ArmComparison | None, labels: Labels) -> list[str]:
    sites = comparison.endpoint.sites if comparison else []
    return [*labels.arm_marks(arm, external=True), *labels.marks_of(sites)]


def _aurocs(endpoint: Contrast) -> str:
    test = endpoint.test
    return f"{fraction(test.second if test else None)} / {fraction(test.first if test else None)}"


def _difference(endpoint: Contrast) -> str:
    test = endpoint.test
    return difference(test.difference, test.low, test.high) if test else difference(None, None, None)


def _detectable(endpoint: Contrast) -> str:
    least = endpoint.test.minimal_detectable if endpoint.test else None
    return "none" if least is not None and least >= 1 else fraction(least)
