"""Names of arms, sites and patients on the page, with their marks: pseudonyms, never raw identifiers."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from components.core.protocol.pseudonyms import case_pseudonyms, patient_pseudonyms
from components.core.protocol.split_plan import ALL
from components.core.protocol.study_plan import ARM_SPECS, CONTROL, is_control
from components.report.inputs import ReportInputs

UNKNOWN_MPP = "µm/px unknown"


@dataclass(frozen=True)
class Labels:
    """Names and marks of one study.

    Attributes:
        patients: Identity -> pseudonym.
        cases: Raw case -> pseudonym.
        unknown_mpp: Sites whose um/px is unknown.
        marks: (arm, whether external) -> sentences beside its numbers: leaks, trusted origins.
    """

    patients: dict[str, str]
    cases: dict[str, str]
    unknown_mpp: frozenset[str]
    marks: dict[tuple[str, bool], list[str]]

    def site_marks(self, site: str) -> list[str]:
        """Warnings beside every number of a site."""
        return [UNKNOWN_MPP] if site in self.unknown_mpp else []

    def marks_of(self, sites: Sequence[str]) -> list[str]:
        """Warnings beside numbers of several sites together."""
        return [f"{mark}: {site}" for site in sites for mark in self.site_marks(site)]

    def arm_marks(self, arm: str, external: bool) -> list[str]:
        """Warnings beside every number of an arm."""
        return self.marks.get((arm, external), [])


def read_labels(inputs: ReportInputs) -> Labels:
    """The names and marks of this study."""
    everyone = pd.concat([inputs.manifest, inputs.external], ignore_index=True)
    patients = patient_pseudonyms(everyone["identity"])
    unknown = everyone.loc[everyone["mpp"].isna(), "site"]
    marks: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for records in inputs.folds:
        for row in records.classifier.arms:
            key = (row.arm, records.fold == ALL)
            if row.mark and row.mark not in marks[key]:
                marks[key].append(row.mark)
    return Labels(patients, case_pseudonyms(everyone, patients), frozenset(unknown), dict(marks))


def arm_description(arm: str) -> str:
    """What an arm is, in a phrase."""
    if is_control(arm):
        return f"control of {arm.removesuffix(CONTROL)}: the same counts, re-drawn from real tiles"
    return ARM_SPECS[arm].description if arm in ARM_SPECS else ""
