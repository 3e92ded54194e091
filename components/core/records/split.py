"""The record of `split`: patients, cases and tiles of every part of every fold."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PartRow:
    """One part of one fold.

    Attributes:
        fold: Fold of the plan, "0", "1", … or "all".
        part: Part of the fold: train, val or test.
        patients: Number of patients.
        cases: Number of cases.
        tiles: Number of tiles.
        class0: Patients with a case of class 0.
        class1: Patients with a case of class 1.
    """

    fold: str
    part: str
    patients: int
    cases: int
    tiles: int
    class0: int
    class1: int


@dataclass(frozen=True)
class SplitRecord:
    """What `split` writes down; the scalar `folds` of its file is the number of cross-validation folds.

    Attributes:
        seed: Seed of the folds.
        patients: Patients that take part.
        cases: Cases of these patients.
        origin: Where the folds come from, in words.
        folds: Every part of every fold.
        notes: Sentences that a reader must know.
    """

    seed: int
    patients: int
    cases: int
    origin: str
    folds: list[PartRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
