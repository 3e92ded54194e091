import pandas as pd

from components.core.protocol.pseudonyms import case_pseudonyms, patient_pseudonyms


def test_patients_are_numbered_by_identity_whatever_the_order():
    assert patient_pseudonyms(["c", "a", "", "b", "a"]) == {"a": "P01", "b": "P02", "c": "P03"}
    assert patient_pseudonyms(["b", "c", "a"]) == patient_pseudonyms(["a", "b", "c"])


def test_numbers_have_one_width():
    assert set(map(len, patient_pseudonyms(map(str, range(120))).values())) == {4}


def test_a_letter_tells_the_cases_of_one_patient_apart():
    table = pd.DataFrame({"identity": ["a", "a", "b", ""], "case": ["second", "first", "only", "nobody"]})
    named = case_pseudonyms(table, patient_pseudonyms(table["identity"]))
    assert named == {"first": "P01a", "second": "P01b", "only": "P02"}
