"""The record of `external_eval`: every arm's metrics at every external site."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EvaluationRow:
    """One arm, or one constant answer, at one site; a metric is None where one class leaves it undefined.

    Attributes:
        arm: Name of the arm, or "always NAME" for the constant answer NAME.
        site: Name of the site.
        level: Unit of the metrics: "patient", or "tile" at a site without patients.
        n: Number of units.
        positives: Units of class 1.
        accuracy: Accuracy, 0..1.
        balanced_accuracy: Mean of sensitivity and specificity, 0..1.
        macro_f1: Mean F1 of both classes, 0..1.
        sensitivity: Sensitivity for class 1, 0..1.
        specificity: Specificity, 0..1.
        auroc: AUROC over all pairs, 0..1.
        auroc_within_sites: AUROC over the pairs of one site, 0..1.
        auroc_within_folds: Mean AUROC over folds, 0..1.
        brier: Brier score, 0..1; None for a constant answer.
        ece: Expected calibration error, 0..1; None for a constant answer.
        kappa: Cohen's kappa, -1..1.
        mark: Text that every number of this row carries; '' = none.
    """

    arm: str
    site: str
    level: str
    n: int
    positives: int
    accuracy: float | None
    balanced_accuracy: float | None
    macro_f1: float | None
    sensitivity: float | None
    specificity: float | None
    auroc: float | None
    auroc_within_sites: float | None
    auroc_within_folds: float | None
    brier: float | None
    ece: float | None
    kappa: float | None
    mark: str = ""


@dataclass(frozen=True)
class EvaluationRecord:
    """What `external_eval` writes down; the scalar `sites` of its file is their number.

    Attributes:
        tiles: Number of external tiles.
        patients: Number of known external patients.
        classifiers: Number of classifiers.
        study: SHA-256 of the study plan.
        endpoint: The study plan's endpoint, in words.
        vote: The study plan's rule from a case's tiles to its class.
        threshold: The study plan's threshold rule.
        note: Reason for an empty table, a sentence; '' = none.
        sites: Every arm and constant answer at every site.
    """

    tiles: int
    patients: int
    classifiers: int
    study: str
    endpoint: str
    vote: str
    threshold: str
    note: str = ""
    sites: list[EvaluationRow] = field(default_factory=list)
