"""The split plan: the identities of the training, validation and test patients of each fold."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from components.core.errors import DataError, LeakageError
from components.core.io.atomic_files import digest, read_json, write_json
from components.core.io.os_errors import describe_os_errors

PARTS = ("train", "val", "test")
ALL = "all"


@dataclass(frozen=True)
class SplitPlan:
    """Folds over patients.

    Attributes:
        key_id: Id of the study key of the identities.
        folds: fold -> part ("train", "val", "test") -> sorted identities. Fold "all" has no test patients.
        origin: Origin for people, for example "stratified 5-fold, seed 0" or the imported files.
        notes: Remarks for readers, for example patients who are in no imported list.
    """

    key_id: str
    folds: dict[str, dict[str, list[str]]]
    origin: str
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """sha256 of key and folds, which readers of the plan verify."""
        return digest({"key_id": self.key_id, "folds": self.folds})

    @property
    def test_folds(self) -> list[str]:
        """The cross-validation folds, without "all"."""
        return [fold for fold in self.folds if fold != ALL]

    def part(self, fold: str, *parts: str) -> set[str]:
        """Identities in some parts of a fold; no part = all three."""
        if fold not in self.folds:
            raise DataError(f"The split plan has no fold {fold!r}; it has {', '.join(self.folds)}.")
        return {identity for part in parts or PARTS for identity in self.folds[fold][part]}

    def rows(self, table: pd.DataFrame, fold: str, *parts: str) -> pd.DataFrame:
        """The manifest's rows of some parts of a fold, in the same order."""
        return table[table["identity"].isin(self.part(fold, *parts))]

    def check(self) -> "SplitPlan":
        """Raises LeakageError for a patient in two parts of a fold or in two test sets; returns itself."""
        for fold, parts in self.folds.items():
            for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
                both = sorted(set(parts[first]) & set(parts[second]))
                if both:
                    raise LeakageError(
                        f"Fold {fold} has {len(both)} patient(s) in both {first} and {second} ({', '.join(both[:5])}): "
                        "each patient belongs to one part of a fold. Split again."
                    )
        tested: set[str] = set()
        for fold in self.test_folds:
            twice = sorted(tested & set(self.folds[fold]["test"]))
            if twice:
                raise LeakageError(
                    f"{len(twice)} patient(s) are tested in two folds ({', '.join(twice[:5])}): split again."
                )
            tested |= set(self.folds[fold]["test"])
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the digest."""
        return {
            "key_id": self.key_id,
            "folds": self.folds,
            "origin": self.origin,
            "notes": list(self.notes),
            "digest": self.digest,
        }

    def write(self, path: str | Path) -> None:
        """Writes the plan as JSON."""
        with describe_os_errors(path):
            write_json(path, self.to_dict())

    @staticmethod
    def read(path: str | Path) -> "SplitPlan":
        """Reads a plan; raises DataError if its digest does not match, LeakageError as `check` does."""
        value = read_json(path)
        try:
            folds = {
                str(fold): {part: sorted(map(str, parts[part])) for part in PARTS}
                for fold, parts in value["folds"].items()
            }
            plan = SplitPlan(str(value["key_id"]), folds, str(value["origin"]), tuple(map(str, value["notes"])))
            digest_in_file = value["digest"]
        except (KeyError, TypeError, AttributeError):
            raise DataError(f"{path} is not a split plan: give the one that the split stage wrote.") from None
        if plan.digest != digest_in_file:
            raise DataError(f"{path} was changed after it was made: its digest does not fit its folds. Split again.")
        return plan.check()


def patients_without_fold(plan: SplitPlan, identities: Iterable[str]) -> set[str]:
    """Identities that are in no part of any fold."""
    assigned = {identity for fold in plan.folds for identity in plan.part(fold)}
    return set(identities) - assigned
