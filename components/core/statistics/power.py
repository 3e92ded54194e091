"""Statistical power: the AUROC that a number of patients can show."""

import math

from scipy.optimize import brentq
from scipy.stats import norm

POWER = 0.80


def detectable_auroc(positives: int, negatives: int, alpha: float = 0.05, power: float = POWER) -> float | None:
    """Smallest AUROC that is found to be above chance with this power, two-sided; None where not even 1 would be.

    The standard error is Hanley and McNeil's (1982), under chance and at the AUROC itself.
    """
    if not (positives and negatives):
        return None
    limit = norm.ppf(1 - alpha / 2) * auroc_error(0.5, positives, negatives)

    def excess(auroc: float) -> float:
        return float(auroc - 0.5 - limit - norm.ppf(power) * auroc_error(auroc, positives, negatives))

    return float(brentq(excess, 0.5, 1.0)) if excess(1.0) > 0 else None


def auroc_error(auroc: float, positives: int, negatives: int) -> float:
    """Standard error of an AUROC, patients independent (Hanley and McNeil 1982, equation 2)."""
    two_positives, two_negatives = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    variance = auroc * (1 - auroc)
    variance += (positives - 1) * (two_positives - auroc**2) + (negatives - 1) * (two_negatives - auroc**2)
    return math.sqrt(max(variance, 0.0) / (positives * negatives))
