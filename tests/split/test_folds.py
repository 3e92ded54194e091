"""Stratified folds: what must hold for any patients."""

from collections import Counter
from types import MappingProxyType

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from components.core.errors import ConfigError, DataError
from components.core.options.parse import parse
from components.split.folds import all_fold, draw_stratified_folds
from components.split.options import SplitOptions
from components.split.patients import read_patients

DIAGNOSES = {"FA": 0, "FTC": 0, "PTC": 1, "NIFTP": 1, "FVPTC": 1}


def people(cases, sites=MappingProxyType({})):
    """From (patient, diagnosis) pairs and the sites of patients that are not at Home."""
    rows = [
        {
            "identity": who,
            "patient": who,
            "case": f"{who}{DIAGNOSES[name]}",
            "diagnosis": name,
            "label": DIAGNOSES[name],
            "site": sites.get(who, "Home"),
        }
        for who, name in cases
    ]
    return read_patients(pd.DataFrame(rows).assign(source="", x=0, y=0, sha256=""))


def of_class(cases, label):
    return {who for who, name in cases if DIAGNOSES[name] == label}


cohorts = st.lists(st.sampled_from(sorted(DIAGNOSES)), min_size=4, max_size=60).flatmap(
    lambda names: st.lists(st.booleans(), min_size=len(names), max_size=len(names)).map(
        lambda second: [
            pair
            for i, (name, two) in enumerate(zip(names, second, strict=True))
            for pair in [(f"p{i:02d}", name), *([(f"p{i:02d}", "FA" if DIAGNOSES[name] else "PTC")] if two else [])]
        ]
    )
)


@settings(max_examples=60, deadline=None)
@given(cohorts, st.integers(2, 5), st.integers(0, 99))
def test_folds_partition_the_patients_and_parts_are_disjoint(cases, folds, seed):
    classes = [of_class(cases, 0), of_class(cases, 1)]
    assume(min(map(len, classes)) >= 2 * folds)
    cohort = people(cases)
    made = draw_stratified_folds(cohort, folds, 0.2, seed, False) | all_fold(cohort, 0.2, seed, False)
    everyone = {who for who, _ in cases}
    for parts in made.values():
        everybody = [who for part in parts.values() for who in part]
        assert len(everybody) == len(set(everybody))
        assert set(everybody) == everyone
    tested = [who for fold, parts in made.items() if fold != "all" for who in parts["test"]]
    assert sorted(tested) == sorted(everyone)
    assert made["all"]["test"] == []
    for fold, parts in made.items():
        for part, patients in parts.items():
            for one in classes:
                assert one & set(patients) or (fold, part) == ("all", "test")
    assert made == draw_stratified_folds(cohort, folds, 0.2, seed, False) | all_fold(cohort, 0.2, seed, False)


def test_diagnoses_of_single_case_patients_are_spread_as_evenly_as_can_be():
    counts = {"FA": 53, "PTC": 53, "FTC": 32, "NIFTP": 9, "FVPTC": 9}  # Tharun and Thompson's 156
    cases = [(f"{name}{i}", name) for name, n in counts.items() for i in range(n)]
    made = draw_stratified_folds(people(cases), 5, 0.2, 0, True)
    sizes = [len(parts["test"]) for parts in made.values()]
    assert max(sizes) - min(sizes) <= 1
    diagnosis = dict(cases)
    for parts in made.values():
        in_test = Counter(diagnosis[who] for who in parts["test"])
        in_val = Counter(diagnosis[who] for who in parts["val"])
        for name, n in counts.items():
            assert n // 5 <= in_test[name] <= -(-n // 5)
            assert abs(in_val[name] - 0.2 * (n - in_test[name])) < 1
        assert abs(sum(in_test[name] for name in ("PTC", "NIFTP", "FVPTC")) - 71 / 5) < 1


def test_seed_changes_the_folds():
    cases = [(f"p{i}", name) for i, name in enumerate(["FA", "PTC"] * 10)]
    assert draw_stratified_folds(people(cases), 5, 0.2, 0, False) != draw_stratified_folds(
        people(cases), 5, 0.2, 1, False
    )


SEVEN = {"10": "bm", "11": "bm", "2": "m", "3": "bm", "4": "bm", "7": "m", "9": "b"}  # GlaS


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("folds", [2, 3, 4, 5])
def test_seven_patients_are_enough(folds, seed):
    cases = [(who, {"b": "FA", "m": "PTC"}[kind]) for who, kinds in SEVEN.items() for kind in kinds]
    made = draw_stratified_folds(people(cases), folds, 0.2, seed, True)
    for parts in made.values():
        for patients in parts.values():
            assert set("".join(SEVEN[who] for who in patients)) == {"b", "m"}


def test_too_few_patients():
    cases = [("a", "FA"), ("b", "FA"), ("c", "FA"), ("d", "PTC"), ("e", "PTC"), ("f", "PTC"), ("g", "PTC")]
    with pytest.raises(ConfigError, match=r"Class 0 has 3 patient\(s\), too few for 4 folds .* at most --folds 3"):
        draw_stratified_folds(people(cases), 4, 0.2, 0, False)
    with pytest.raises(ConfigError, match=r"split.folds is 1: give a whole number, at least 2"):
        parse(SplitOptions, {"folds": 1}, "split")
    with pytest.raises(
        DataError, match=r"Fold . has no patient of class 0 in its val part: use a larger --val-fraction"
    ):
        draw_stratified_folds(people([*cases[:2], *cases[3:]]), 2, 0.2, 0, False)


def test_diagnosis_of_one_patient_cannot_be_trained_on_in_every_fold():
    cases = [(f"p{i}", name) for i, name in enumerate(["FA"] * 8 + ["PTC"] * 8 + ["NIFTP"])]
    assert draw_stratified_folds(people(cases), 4, 0.2, 0, False)
    with pytest.raises(DataError, match=r"no patient of NIFTP in its train part: .*only arms of the binary generator"):
        draw_stratified_folds(people(cases), 4, 0.2, 0, True)


def test_one_class_is_nothing_to_classify():
    with pytest.raises(DataError, match="Every patient is of class 0"):
        people([("a", "FA"), ("b", "FTC")])
