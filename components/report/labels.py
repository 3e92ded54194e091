"""How the page names arms, sites, patients: in words, with the marks that belong to them, never by a raw identifier."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from components.core.protocol.pseudonyms import case_pseudonyms, patient_pseudonyms
from components.core.protocol.split_plan import ALL
from components.core.protocol.study_plan import ARM_SPECS, CONTROL, is_control
from components.report.inputs import Inputs

UNKNOWN_MPP = "µm/px unknown"


@dataclass(frozen=True)
class Labels:
    """Names of one study.

    Attributes:
        patients: Identity -> pseudonym.
        cases: Raw case -> pseudonym.
        unknown_mpp: Sites whose um/px is unknown.
        marks: (arm, external?) -> sentences that go with its numbers: leaks, trusted origins.
    """

    patients: dict[str, str]
    cases: dict[str, str]
    unknown_mpp: frozenset[str]
    marks: dict[tuple[str, bool], list[str]]

    def site_marks(self, site: str) -> list[str]:
        """What stands beside every number of a site."""
        return [UNKNOWN_MPP] if site in self.unknown_mpp else []

    def marks_of(self, sites: Sequence[str]) -> list[str]:
        """What stands beside numbers of several sites together."""
        return [f"{mark}: {site}" for site in sites for mark in self.site_marks(site)]

    def arm_marks(self, arm: str, external: bool) -> list[str]:
        """What stands beside every number of an arm."""
        return self.marks.get((arm, external), [])


def read_labels(inputs: Inputs) -> Labels:
    """The names of this study."""
    everyone = pd.concat([inputs.manifest, inputs.external], ignore_index=True)
    patients = patient_pseudonyms(everyone["identity"])
    unknown = everyone.loc[everyone["mpp"].isna(), "site"]
    marks: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for item in inputs.items:
        for row in item["classifier_cv"]["tables"].get("arms", []):
            key = (row["arm"], item["fold"] == ALL)
            if row["mark"] and row["mark"] not in marks[key]:
                marks[key].append(row["mark"])
    return Labels(patients, case_pseudonyms(everyone, patients), frozenset(unknown), dict(marks))


def meaning(arm: str) -> str:
    """What an arm is, in a phrase."""
    if is_control(arm):
        return f"control of {arm.removesuffix(CONTROL)}: the same counts, re-drawn from real tiles"
    return ARM_SPECS[arm].description if arm in ARM_SPECS else ""
