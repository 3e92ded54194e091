"""The names that patients and cases have on pages: P01, P02, … by the order of their identities."""

from collections.abc import Iterable

import pandas as pd


def patient_pseudonyms(identities: Iterable[str]) -> dict[str, str]:
    """Identity -> P01, P02, …; an empty identity (no patient known) has none.

    Give every identity of the study, the external sites' too, so that all pages agree.
    """
    ordered = sorted({one for one in identities if one})
    width = max(2, len(str(len(ordered))))
    return {one: f"P{place:0{width}d}" for place, one in enumerate(ordered, 1)}


def case_pseudonyms(table: pd.DataFrame, patients: dict[str, str]) -> dict[str, str]:
    """Case -> the patient's pseudonym, with a letter where the patient has several cases (P03a, P03b).

    Args:
        table: Rows with `case` and `identity`.
        patients: From `patient_pseudonyms`.
    """
    named: dict[str, str] = {}
    for identity, rows in table[table["identity"] != ""].groupby("identity", sort=True):
        cases = sorted(set(rows["case"]))
        for place, case in enumerate(cases):
            named[case] = patients[str(identity)] + (_letters(place) if len(cases) > 1 else "")
    return named


def _letters(place: int) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return alphabet[place] if place < 26 else _letters(place // 26 - 1) + alphabet[place % 26]
