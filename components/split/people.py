"""The patients of a manifest: who they are and what they have."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from components.core.errors import DataError
from components.core.manifest import check_cases


@dataclass(frozen=True)
class People:
    """Every patient with a known identity.

    Attributes:
        table: Their rows of the manifest.
        strata: identity -> what is spread evenly: "class 0", "class 1" and the diagnoses of the patient's cases.
    """

    table: pd.DataFrame
    strata: Mapping[str, frozenset[str]]

    @cached_property
    def of_class(self) -> dict[str, set[str]]:
        """ "class 0", "class 1" -> identities of patients with such a case."""
        return {f"class {label}": set(rows["identity"]) for label, rows in self.table.groupby("label")}

    @cached_property
    def strata_names(self) -> set[str]:
        """Every class and diagnosis."""
        return set().union(*self.strata.values())

    def named(self, column: str) -> dict[str, set[str]]:
        """Value of a column (case, patient, source) -> identities of the patients that it stands for."""
        return {str(value): set(rows["identity"]) for value, rows in self.table.groupby(column)}


def people_of(table: pd.DataFrame) -> People:
    """The patients of a manifest.

    Raises:
        DataError: No patient is known, labels are absent or all the same, or cases contradict themselves.
    """
    known = table[table["identity"] != ""]
    if known.empty:
        raise DataError(
            "The manifest names no patient, so there is nothing to split: give patients to the tile stage by "
            "--patient-pattern, a labels file with `meta`, or a CSV."
        )
    if known["label"].isna().any():
        raise DataError("The manifest has tiles without a label: split the manifest that the tile stage wrote.")
    if known["label"].nunique() < 2:
        raise DataError(
            f"Every patient is of class {known['label'].iloc[0]}: a classifier needs both classes, add the other."
        )
    check_cases(known)
    by_person = known.assign(label="class " + known["label"].astype(str)).groupby("identity")
    return People(known, {str(one): frozenset(rows["label"]) | frozenset(rows["diagnosis"]) for one, rows in by_person})
