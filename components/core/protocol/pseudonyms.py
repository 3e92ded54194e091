"""Pseudonyms of patients and cases on pages: P01, P02, … in the order of their identities."""

from collections.abc import Iterable

import pandas as pd


def patient_pseudonyms(identities: Iterable[str]) -> dict[str, str]:
    """Identity -> P01, P02, …; an empty identity (unknown patient) has none.

    Pass all identities of the study, those of external sites included, so that all pages agree.
    """
    ordered = sorted({identity for identity in identities if identity})
    width = max(2, len(str(len(ordered))))
    return {identity: f"P{number:0{width}d}" for number, identity in enumerate(ordered, 1)}


def case_pseudonyms(table: pd.DataFrame, patients: dict[str, str]) -> dict[str, str]:
    """Case -> the patient's pseudonym, with a letter if the patient has several cases (P03a, P03b).

    Args:
        table: Rows with `case` and `identity`.
        patients: From `patient_pseudonyms`.
    """
    names: dict[str, str] = {}
    for identity, rows in table[table["identity"] != ""].groupby("identity", sort=True):
        cases = sorted(set(rows["case"]))
        for index, case in enumerate(cases):
            names[case] = patients[str(identity)] + (_letters(index) if len(cases) > 1 else "")
    return names


def _letters(index: int) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return alphabet[index] if index < 26 else _letters(index // 26 - 1) + alphabet[index % 26]
