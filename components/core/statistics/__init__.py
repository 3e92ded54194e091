"""Statistics: distances between feature sets, and patient-level evidence from predictions."""

from components.core.statistics.breakdown import by_diagnosis, by_site
from components.core.statistics.endpoint import Contrast
from components.core.statistics.frechet import frechet_distance
from components.core.statistics.intervals import (
    Interval,
    bootstrap_interval,
    metric_intervals,
    wilson_interval,
)
from components.core.statistics.kernel import KernelDistance, kernel_distance
from components.core.statistics.metrics import METRICS, constant_predictors, patient_metrics
from components.core.statistics.paired_tests import (
    AurocDifference,
    DeLong,
    McNemar,
    auroc_difference,
    delong,
    holm,
    mcnemar,
)
from components.core.statistics.patients import (
    VOTES,
    label_conflicts,
    patient_level,
    patient_predictions,
    qualifying_sites,
    ties,
    tile_predictions,
)
from components.core.statistics.power import detectable_auroc
from components.core.statistics.precision_recall import Coverage, mutual_coverage, precision_recall
from components.core.statistics.predictions import COLUMNS, as_predictions, read_predictions
from components.core.statistics.verdict import (
    BETTER,
    NOT_SHOWN,
    UNDERPOWERED,
    WORSE,
    ArmComparison,
    compare_arms,
    endpoints,
    tiles_help,
    verdict_of,
)

__all__ = [
    "BETTER",
    "COLUMNS",
    "METRICS",
    "NOT_SHOWN",
    "UNDERPOWERED",
    "VOTES",
    "WORSE",
    "ArmComparison",
    "AurocDifference",
    "Contrast",
    "Coverage",
    "DeLong",
    "Interval",
    "KernelDistance",
    "McNemar",
    "as_predictions",
    "auroc_difference",
    "bootstrap_interval",
    "by_diagnosis",
    "by_site",
    "compare_arms",
    "constant_predictors",
    "delong",
    "detectable_auroc",
    "endpoints",
    "frechet_distance",
    "holm",
    "kernel_distance",
    "label_conflicts",
    "mcnemar",
    "metric_intervals",
    "mutual_coverage",
    "patient_level",
    "patient_metrics",
    "patient_predictions",
    "precision_recall",
    "qualifying_sites",
    "read_predictions",
    "ties",
    "tile_predictions",
    "tiles_help",
    "verdict_of",
    "wilson_interval",
]
