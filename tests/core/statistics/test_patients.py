"""From tiles to cases."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import one_tile_each

from components.core.errors import ConfigError, DataError
from components.core.statistics.breakdown import by_diagnosis, by_site
from components.core.statistics.metrics import constant_predictors, patient_metrics
from components.core.statistics.patients import (
    label_conflicts,
    patient_level,
    patient_predictions,
    qualifying_sites,
    ties,
    tile_predictions,
)


def tiles_of(votes, probabilities, patient="p", **columns):
    return pd.DataFrame({"patient": patient, "class": 1, "pred_class": votes, "prob_positive": probabilities} | columns)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=12))
def test_majority_is_the_mean_rounded_half_to_even(votes):
    case = patient_predictions(tiles_of(votes, 0.5)).iloc[0]
    assert case["pred_class"] == round(float(np.mean(votes)))  # Python rounds half to even
    assert case["tie"] == (np.mean(votes) == 0.5)


def test_the_score_is_the_mean_probability_whatever_the_vote():
    table = tiles_of([1, 1, 0], [0.55, 0.6, 0.05])
    by_vote, by_mean = (patient_predictions(table, vote).iloc[0] for vote in ("majority", "probability"))
    assert by_vote["prob_positive"] == by_mean["prob_positive"] == pytest.approx(0.4)
    assert (by_vote["pred_class"], by_mean["pred_class"]) == (1, 0)


def test_seeds_are_averaged_and_tiles_counted_once():
    table = pd.concat([tiles_of([1, 0], [0.9, 0.4], seed="0"), tiles_of([1, 1], [0.7, 0.8], seed="1")])
    case = patient_predictions(table).iloc[0]
    assert (case["tiles"], case["seeds"], case["pred_class"]) == (2, 2, 1)
    assert case["prob_positive"] == pytest.approx(0.7)


def test_a_probability_vote_keeps_to_the_stated_threshold():
    table = tiles_of([1, 1], [0.55, 0.6], threshold=0.7)
    assert patient_predictions(table, "probability")["pred_class"].tolist() == [0]


def test_cases_of_one_patient_are_voted_on_apart():
    table = pd.concat([tiles_of([1], [0.9], case="x"), tiles_of([0], [0.1], case="y").assign(**{"class": 0})])
    cases = patient_predictions(table)
    assert cases[["case", "patient", "class"]].to_numpy().tolist() == [["x", "p", 1], ["y", "p", 0]]


def test_ties_and_conflicts_are_named():
    one = pd.concat([tiles_of([1, 0], 0.5, "t", arm="a"), tiles_of([1, 1], 0.5, "s", arm="a")])
    other = tiles_of([1], 0.5, "s", arm="b").assign(**{"class": 0})
    cases = patient_predictions(pd.concat([one, other]))
    assert ties(cases) == ["t"] and label_conflicts(cases) == ["s"]


def test_a_case_with_two_classes_in_one_arm_is_refused():
    table = pd.concat([tiles_of([1], 0.5), tiles_of([1], 0.5).assign(**{"class": 0})])
    with pytest.raises(DataError, match=r"Case 'p' has 2 classes: .*correct the rows"):
        patient_predictions(table)


def test_a_row_without_a_patient_cannot_be_voted_on():
    for missing in ("", "unknown"):
        with pytest.raises(DataError, match="have no patient, so their cases have no vote"):
            patient_predictions(tiles_of([1], 0.5, missing))


def test_an_unknown_vote_is_refused():
    with pytest.raises(ConfigError, match=r"The vote .mean. is not known: give majority or probability"):
        patient_predictions(tiles_of([1], 0.5), "mean")


def test_sites_without_patients_take_no_part_but_have_tiles():
    known, unknown = tiles_of([1], 0.5, site="a"), tiles_of([1, 0], [0.9, 0.2], "", site="b", tile=["x", "y"])
    kept = patient_level(pd.concat([known, unknown]))
    assert kept["site"].unique().tolist() == ["a"]
    assert tile_predictions(unknown)["pred_class"].tolist() == [1, 0]
    with pytest.raises(DataError, match="Site 'b' has predictions with and without a patient"):
        patient_level(pd.concat([unknown, tiles_of([1], 0.5, site="b")]))


def test_a_site_qualifies_with_five_patients_of_each_class():
    truth = [1] * 5 + [0] * 5
    enough, few = one_tile_each(truth, [0.5] * 10, site="a"), one_tile_each(truth[:9], [0.5] * 9, site="b")
    assert qualifying_sites(patient_predictions(pd.concat([enough, few]))) == ["a"]


def test_always_answering_one_class_gets_its_prevalence():
    cases = patient_predictions(one_tile_each([1, 1, 1, 0], [0.9, 0.2, 0.8, 0.1]))
    zero, one = constant_predictors(cases, ("benign", "malignant"))
    assert (zero["arm"], one["arm"]) == ("always benign", "always malignant")
    assert (zero["accuracy"], one["accuracy"]) == (0.25, 0.75)
    for row in (zero, one):
        assert (row["balanced_accuracy"], row["auroc"], row["kappa"], row["brier"]) == (0.5, 0.5, 0, None)


def test_breakdowns_add_up():
    truth, score = [1, 1, 0, 0, 1], [0.9, 0.2, 0.3, 0.8, 0.7]
    table = one_tile_each(truth, score, diagnosis=["PTC", "PTC", "FA", "FA", "NIFTP"]).assign(site=list("aabba"))
    cases = patient_predictions(table)
    rows = by_diagnosis(cases)
    assert [(one["diagnosis"], one["class"], one["correct"], one["cases"]) for one in rows] == [
        ("FA", 0, 1, 2),
        ("NIFTP", 1, 1, 1),
        ("PTC", 1, 1, 2),
    ]
    sites = {one["site"]: one for one in by_site(cases)}
    assert sites["a"]["n"] == 3 and sites["a"]["auroc"] is None
    whole = sum(one["accuracy"] * one["n"] for one in sites.values()) / len(truth)
    assert whole == pytest.approx(patient_metrics(cases)["accuracy"])


def test_nothing_to_measure_is_said():
    with pytest.raises(DataError, match="no cases to measure"):
        patient_metrics(patient_predictions(tiles_of([1], 0.5)).iloc[:0])
