"""The gains claimed for Thy-GAN, beside those of its own published predictions and of this study."""

from typing import Any

from components.core.html.number_format import fraction, percent, relative
from components.core.html.table import Cell
from components.report.labels import Labels
from components.report.verdicts import Comparisons

ARM = "mc100"
CLAIMED = {"accuracy": 0.44, "macro_f1": 0.525}
# Thy-GAN's committed predictions on 69 external patients, majority vote: (none, mc100)
PUBLISHED = {"accuracy": (0.4058, 0.5507), "macro_f1": (0.3513, 0.4999)}
CONSTANT = 0.8116  # accuracy of always answering PTC-like there: 56 of 69


def claims_section(comparisons: Comparisons, labels: Labels) -> dict[str, Any]:
    """Rows of relative gains over no added tiles.

    Args:
        comparisons: Arm -> its comparison with the baseline.
        labels: Names and marks of the study.
    """
    rows = [
        _row(f"claimed of {ARM}", [], [percent(gain) for gain in CLAIMED.values()], ""),
        _row(
            f"{ARM}, by Thy-GAN's own published predictions",
            [],
            [relative(arm, none) for none, arm in PUBLISHED.values()],
            "; ".join(f"{fraction(arm, 4)} against {fraction(none, 4)}" for none, arm in PUBLISHED.values()),
        ),
    ]
    for arm, comparison in comparisons.items():
        gains = [percent(comparison.secondary.relative[metric]) for metric in CLAIMED]
        cases = f"{comparison.secondary.cases} cases of both"
        rows.append(_row(f"{arm}, this study, its external sites", labels.arm_marks(arm, external=True), gains, cases))
    return {"rows": rows, "constant": fraction(CONSTANT)}


def _row(result: str, marks: list[str], gains: list[str], origin: str) -> list[Any]:
    return [Cell(result, marks=marks, is_number=False), *map(Cell, gains), origin]
