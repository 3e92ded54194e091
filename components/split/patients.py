"""The patients of a manifest: who they are and what they have."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from components.core.data.manifest import check_cases, check_labels
from components.core.errors import DataError, LeakageError


@dataclass(frozen=True)
class Patients:
    """Every patient with a known identity.

    Attributes:
        table: Their rows of the manifest.
        strata: Identity -> groups that are spread evenly: "class 0", "class 1" and the diagnoses of the patient's
            cases.
    """

    table: pd.DataFrame
    strata: Mapping[str, frozenset[str]]

    @cached_property
    def site(self) -> dict[str, str]:
        """Identity -> the patient's site."""
        return dict(zip(self.table["identity"], self.table["site"], strict=True))

    @cached_property
    def of_class(self) -> dict[str, set[str]]:
        """ "class 0", "class 1" -> identities of patients with such a case."""
        return {f"class {label}": set(rows["identity"]) for label, rows in self.table.groupby("label")}

    @cached_property
    def strata_names(self) -> set[str]:
        """Every class and diagnosis."""
        return set().union(*self.strata.values())

    def identities_by(self, column: str) -> dict[str, set[str]]:
        """Value of a column (case, patient, source) -> identities of the patients that it stands for."""
        return {str(value): set(rows["identity"]) for value, rows in self.table.groupby(column)}


def read_patients(table: pd.DataFrame) -> Patients:
    """The patients of a manifest.

    Raises:
        DataError: No patient is known; labels are missing, other than 0 and 1, or all the same; a patient is at two
            sites; or cases contradict themselves.
        LeakageError: One image belongs to two patients.
    """
    known = table[table["identity"] != ""]
    if known.empty:
        raise DataError(
            "The manifest names no patient, so there is nothing to split: give patients to the tile stage by "
            "--patient-pattern, a labels file with `meta`, or a CSV."
        )
    check_labels(known, "The manifest")
    if known["label"].nunique() < 2:
        raise DataError(
            f"Every patient is of class {known['label'].iloc[0]}: a classifier needs both classes, add the other."
        )
    _check_sites(known)
    _check_images(known)
    check_cases(known)
    by_patient = known.assign(label="class " + known["label"].astype(str)).groupby("identity")
    return Patients(
        known,
        {str(identity): frozenset(rows["label"]) | frozenset(rows["diagnosis"]) for identity, rows in by_patient},
    )


def _check_sites(known: pd.DataFrame) -> None:
    """Refuses one patient's name at two sites: they would count as two patients, and may be one."""
    sites = known.groupby("patient")["site"].agg(lambda names: sorted(set(names)))
    several = sites[sites.map(len) > 1]
    if len(several):
        raise DataError(
            f"{len(several)} patient(s) are at more than one site (first: {several.index[0]!r} at "
            f"{' and '.join(several.iloc[0])}): if each is one person, give all their images one site; if not, give "
            "them different names."
        )


def _check_images(known: pd.DataFrame) -> None:
    """Refuses images that are equal tile by tile and belong to two patients."""
    tiles = known[known["sha256"] != ""].sort_values(["x", "y"], kind="stable")
    images = tiles.groupby(["identity", "source"], sort=True)["sha256"].agg(tuple).reset_index()
    for _, same in images.groupby("sha256", sort=True):
        if same["identity"].nunique() > 1:
            first, second = same.drop_duplicates("identity")["source"].iloc[:2]
            raise LeakageError(
                f"{first} and {second} are the same image under two patients, so a fold would train on what it "
                "tests: remove one of them, or give both to one patient."
            )
