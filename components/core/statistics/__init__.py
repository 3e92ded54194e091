"""Patient-level statistics of predictions: reading, voting, metrics, intervals, paired tests and the verdict.

    predictions    the table of predictions: columns, checks, CSV
    patients       votes of tiles, one row per patient
    metrics        per-patient metrics; `auroc` the area under the ROC curve
    intervals      bootstrap and Wilson intervals; `bootstrap` the resamples of an arm's patients
    paired_tests   DeLong, McNemar, Holm; `power` the difference a study can detect
    endpoint       the primary contrast; `secondary` the others; `verdict` the decision
    breakdown      metrics by site and diagnosis

Distances between sets of images are in `components.core.fidelity`.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "compare_arms": "verdict",
    "patient_metrics": "metrics",
    "patient_predictions": "patients",
}


def __getattr__(name: str) -> Any:
    """The public functions, imported at first use: this package alone loads neither pandas nor statsmodels."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
