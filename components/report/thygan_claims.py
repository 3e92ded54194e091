"""The gains that are told of Thy-GAN, beside what its own published predictions give and what this study gives."""

from typing import Any

from components.core.html.number_format import fraction, percent, relative
from components.report.inputs import Row
from components.report.labels import Labels

ARM = "mc100"
CLAIMED = {"accuracy": 0.44, "macro_f1": 0.525}
# Thy-GAN's committed predictions on 69 external patients, majority vote: (none, mc100)
PUBLISHED = {"accuracy": (0.4058, 0.5507), "macro_f1": (0.3513, 0.4999)}
CONSTANT = 0.8116  # accuracy of always answering PTC-like there: 56 of 69


def claims_section(compared: dict[str, Row], names: Labels) -> dict[str, Any]:
    """Rows of relative gains over no added tiles.

    Args:
        compared: Arm -> its flat comparison with the baseline (`ArmComparison.row`).
        names: Of the study, for the marks.
    """
    rows = [
        {"what": f"claimed of {ARM}", "marks": [], "gains": [percent(one) for one in CLAIMED.values()], "from": ""},
        {
            "what": f"{ARM}, by Thy-GAN's own published predictions",
            "marks": [],
            "gains": [relative(arm, none) for none, arm in PUBLISHED.values()],
            "from": "; ".join(f"{fraction(arm, 4)} against {fraction(none, 4)}" for none, arm in PUBLISHED.values()),
        },
    ]
    rows += [
        {
            "what": f"{arm}, this study, its external sites",
            "marks": names.arm_marks(arm, external=True),
            "gains": [percent(one[f"{metric}_relative"]) for metric in CLAIMED],
            "from": f"{one['cases']} cases of both",
        }
        for arm, one in compared.items()
    ]
    return {"rows": rows, "constant": fraction(CONSTANT)}
