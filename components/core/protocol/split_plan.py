"""The split plan: which patients train, validate and test in each fold; patients stand as identities."""

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
        key_id: Key of the identities.
        folds: fold -> part ("train", "val", "test") -> sorted identities. Fold "all" has no test patients.
        origin: How it was made, for people: "stratified 5-fold, seed 0" or the imported files.
        notes: What a reader must know, for example patients that no list names.
    """

    key_id: str
    folds: dict[str, dict[str, list[str]]]
    origin: str
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """sha256 of keys and folds: what consumers verify."""
        return digest({"key_id": self.key_id, "folds": self.folds})

    @property
    def test_folds(self) -> list[str]:
        """The cross-validation folds, without "all"."""
        return [fold for fold in self.folds if fold != ALL]

    def part(self, fold: str, *parts: str) -> set[str]:
        """Identities of the given parts of a fold; all three when none is named."""
        if fold not in self.folds:
            raise DataError(f"The split plan has no fold {fold!r}; it has {', '.join(self.folds)}.")
        return {one for part in parts or PARTS for one in self.folds[fold][part]}

    def rows(self, table: pd.DataFrame, fold: str, *parts: str) -> pd.DataFrame:
        """The manifest's rows of these parts, order kept."""
        return table[table["identity"].isin(self.part(fold, *parts))]

    def check(self) -> "SplitPlan":
        """Refuses a plan with a patient in two parts of a fold or in two test sets; returns itself."""
        for fold, parts in self.folds.items():
            for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
                both = sorted(set(parts[first]) & set(parts[second]))
                if both:
                    raise LeakageError(
                        f"Fold {fold} has {len(both)} patient(s) in both {first} and {second} ({', '.join(both[:5])}): "
                        "each patient belongs to one part of a fold."
                    )
        tested: set[str] = set()
        for fold in self.test_folds:
            twice = sorted(tested & set(self.folds[fold]["test"]))
            if twice:
                raise LeakageError(f"{len(twice)} patient(s) are tested in two folds ({', '.join(twice[:5])}).")
            tested |= set(self.folds[fold]["test"])
        return self

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, digest included."""
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
        """Reads a plan; refuses one whose digest does not fit its folds, and one that leaks."""
        value = read_json(path)
        try:
            folds = {
                str(fold): {part: sorted(map(str, parts[part])) for part in PARTS}
                for fold, parts in value["folds"].items()
            }
            plan = SplitPlan(str(value["key_id"]), folds, str(value["origin"]), tuple(map(str, value["notes"])))
            stated = value["digest"]
        except (KeyError, TypeError, AttributeError):
            raise DataError(f"{path} is no split plan: name the one that the split stage wrote.") from None
        if plan.digest != stated:
            raise DataError(f"{path} was changed after it was made: its digest does not fit its folds; split again.")
        return plan.check()


def patients_without_fold(plan: SplitPlan, identities: Iterable[str]) -> set[str]:
    """Identities that stand in no part of any fold."""
    named = {one for fold in plan.folds for one in plan.part(fold)}
    return set(identities) - named
