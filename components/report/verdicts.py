"""The verdicts: one per arm, with its sentence, and the numbers that it rests on."""

from typing import Any

from components.core.html.number_format import difference, fraction, p_clause, p_value
from components.core.protocol.study_plan import CONTROL
from components.core.statistics.verdict import UNDERPOWERED, compare_arms
from components.report.inputs import Inputs, Row
from components.report.labels import Labels, meaning
from components.report.performance import BASELINE


def verdict_section(compared: dict[str, Row], inputs: Inputs, names: Labels) -> dict[str, Any]:
    """A verdict for every arm but the baseline, in the plan's order, and the table behind them."""
    arms = [arm for arm in inputs.study.arms if arm != BASELINE]
    return {
        "verdicts": [_verdict(arm, compared.get(arm), inputs, names) for arm in arms],
        "rows": [_row(compared[arm], names) for arm in arms if arm in compared],
        "approximate": any(one["approximate"] for one in compared.values()),
    }


def comparisons(inputs: Inputs) -> dict[str, Row]:
    """Arm -> its flat comparison with the baseline; none where no external site has patients."""
    table = inputs.external_predictions
    table = table[~table["site"].isin(inputs.study.tile_level_sites)]
    present = set(table["arm"])
    arms = [arm for arm in inputs.study.arms if arm != BASELINE and arm in present]
    if not arms or BASELINE not in present:
        return {}
    compared = compare_arms(
        table,
        baseline=BASELINE,
        arms=arms,
        vote=inputs.study.vote,
        relevant_difference=inputs.study.relevant_difference,
    )
    return {one.arm: one.row() for one in compared}


def _verdict(arm: str, compared: Row | None, inputs: Inputs, names: Labels) -> Row:
    word, reason = UNDERPOWERED, "No external site has patients, so the primary endpoint is not measured."
    if compared:
        word, reason = compared["verdict"], compared["reason"]
    if inputs.study.demonstration:
        rule = f" By the rule alone: {word}. {reason}" if compared else ""
        word, reason = UNDERPOWERED, f"Demonstration data cannot be evidence.{rule}"
    return {
        "arm": arm,
        "meaning": meaning(arm),
        "word": word,
        "tone": word.replace(" ", "-"),
        "reason": reason,
        "marks": _marks(arm, compared, names),
        "help": "" if inputs.study.demonstration else _help(arm, compared),
    }


def _help(arm: str, compared: Row | None) -> str:
    """Whether it is the generated tiles that help, which needs the arm's control."""
    if compared is None or compared["gan_tiles_help"] is None:
        return ""
    control = f"{arm}{CONTROL}"
    against = f"against {control} the difference is {_difference(compared, 'control')}"
    if compared["control_p_adjusted"] is not None:
        against += f", adjusted {p_clause(compared['control_p_adjusted'])}"
    if compared["gan_tiles_help"]:
        return f"Generated tiles help: {arm} is better than {BASELINE} and than its control; {against}."
    return (
        f"That generated tiles help is not shown, it needs {arm} to be better than {BASELINE} and than its control; "
        f"{against}."
    )


def _row(compared: Row, names: Labels) -> Row:
    arm, sites = compared["arm"], compared["endpoint_sites"]
    return {
        "arm": arm,
        "marks": _marks(arm, compared, names),
        "sites": ", ".join(sites) or "none qualifies",
        "patients": compared["endpoint_patients"],
        "difference": _difference(compared, "endpoint"),
        "aurocs": f"{fraction(compared['endpoint_auroc'])} / {fraction(compared['endpoint_baseline_auroc'])}",
        "p": p_value(compared["endpoint_p_adjusted"]),
        "detectable": _detectable(compared["endpoint_minimal_detectable"]),
        "seeds": ", ".join(f"{value:+.2f}" for value in compared["endpoint_seed_differences"].values()),
        "mcnemar": f"{compared['mcnemar_gained']} : {compared['mcnemar_lost']}, p {p_value(compared['mcnemar_p'])}",
        "delong": p_value(compared["delong_p"]),
        "scalars": {
            f"auroc_difference_{arm}": compared["endpoint_difference"],
            f"adjusted_p_{arm}": compared["endpoint_p_adjusted"],
            f"detectable_difference_{arm}": compared["endpoint_minimal_detectable"],
        },
    }


def _marks(arm: str, compared: Row | None, names: Labels) -> list[str]:
    sites = compared["endpoint_sites"] if compared else []
    return [*names.arm_marks(arm, external=True), *names.marks_of(sites)]


def _difference(compared: Row, against: str) -> str:
    return difference(*(compared[f"{against}_{name}"] for name in ("difference", "low", "high")))


def _detectable(value: float | None) -> str:
    return "none" if value is not None and value >= 1 else fraction(value)
