"""The secondary differences of two arms; they carry no verdict."""

from dataclasses import dataclass
from typing import Any

from components.core.statistics.endpoint import Contrast, VotedArms
from components.core.statistics.intervals import Interval, percentile_interval
from components.core.statistics.metrics import weighted_metrics
from components.core.statistics.paired_tests import delong, mcnemar

_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "sensitivity", "specificity", "auroc", "brier")
_RELATIVE = ("accuracy", "macro_f1")  # as gains are published


@dataclass(frozen=True)
class Secondary:
    """The secondary differences of two arms, on all cases of both; they carry no verdict.

    Attributes:
        cases: Number of cases that both arms predict, at all sites.
        differences: Metric -> arm minus baseline, with its percentile interval.
        relative: Metric -> the same as a fraction of the baseline's; None where that is 0 or undefined.
        mcnemar_gained: Cases only the arm gets right.
        mcnemar_lost: Cases only the baseline gets right.
        mcnemar_p: Exact p-value, from the votes; None without common cases.
        delong_p: p-value of the paired test, all cases pooled; None where it has no variance.
        approximate: True where a patient has several cases, which McNemar and DeLong take as independent.
    """

    cases: int
    differences: dict[str, Interval]
    relative: dict[str, float | None]
    mcnemar_gained: int
    mcnemar_lost: int
    mcnemar_p: float | None
    delong_p: float | None
    approximate: bool

    def row(self) -> dict[str, Any]:
        """Flat, ready for JSON."""
        row: dict[str, Any] = {"cases": self.cases}
        for metric, (value, low, high) in self.differences.items():
            name = f"{metric}_difference"
            row |= {name: value, f"{name}_low": low, f"{name}_high": high}
        row |= {f"{metric}_relative": value for metric, value in self.relative.items()}
        for name in ("mcnemar_gained", "mcnemar_lost", "mcnemar_p", "delong_p", "approximate"):
            row[name] = getattr(self, name)
        return row


def secondary(arms: VotedArms, endpoint: Contrast) -> Secondary:
    """The secondary differences of the two arms of a contrast."""
    first, second = arms.common(endpoint.baseline, endpoint.arm)
    if first.empty:
        unknown = Interval(None, None, None)
        return Secondary(0, dict.fromkeys(_METRICS, unknown), dict.fromkeys(_RELATIVE), 0, 0, None, None, False)
    weights = arms.bootstrap(first).weights  # row 0: the cases themselves
    base, arm = weighted_metrics(first, weights), weighted_metrics(second, weights)
    differences = {name: arm[name] - base[name] for name in _METRICS}
    votes, areas = mcnemar(first, second), delong(first, second)
    return Secondary(
        cases=len(first),
        differences={name: percentile_interval(drawn[0], drawn[1:]) for name, drawn in differences.items()},
        relative={name: _share(differences[name][0], base[name][0]) for name in _RELATIVE},
        mcnemar_gained=votes.gained,
        mcnemar_lost=votes.lost,
        mcnemar_p=votes.p,
        delong_p=areas.p if areas else None,
        approximate=bool(first.duplicated(["site", "patient"]).any()),
    )


def _share(difference: float, baseline: float) -> float | None:
    return float(difference / baseline) if baseline > 0 else None  # NaN is not above 0
