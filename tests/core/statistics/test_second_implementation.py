"""The numbers against libraries or plain loops, on random tables."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from tables import one_tile_each, scored

from components.core.statistics.intervals import wilson_interval
from components.core.statistics.metrics import patient_metrics
from components.core.statistics.paired_tests import delong, holm, mcnemar
from components.core.statistics.patients import patient_predictions

FAST = settings(max_examples=40, deadline=None)


def cases_of(truth, score):
    return patient_predictions(one_tile_each(truth, score).assign(patient=[f"p{i:03}" for i in range(len(truth))]))


@FAST
@given(scored(arms=1))
def test_metrics_are_scikit_learn_s(table):
    truth, (score,) = table
    guess = (score > 0.5).astype(int)
    found = patient_metrics(cases_of(truth, score))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, guess))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(truth, guess))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(truth, guess, average="macro", labels=[0, 1]))
    assert found["sensitivity"] == pytest.approx(sk.recall_score(truth, guess))
    assert found["specificity"] == pytest.approx(sk.recall_score(truth, guess, pos_label=0))
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(truth, score))
    assert found["brier"] == pytest.approx(sk.brier_score_loss(truth, score))
    assert found["kappa"] == pytest.approx(sk.cohen_kappa_score(truth, guess), abs=1e-12)


@FAST
@given(scored(arms=1))
def test_calibration_error_is_that_of_five_bins_counted_one_by_one(table):
    truth, (score,) = table
    error = 0.0
    for low in range(5):
        inside = [i for i, p in enumerate(score) if min(int(p * 5), 4) == low]
        if inside:
            error += len(inside) / len(truth) * abs(np.mean(score[inside]) - np.mean(truth[inside]))
    assert patient_metrics(cases_of(truth, score))["ece"] == pytest.approx(error)


def plain_delong(truth, first, second):
    """DeLong's paper with its placement matrices written out."""
    values, by_positive, by_negative = [], [], []
    for score in (first, second):
        wins = np.array([[float(x > y) + 0.5 * (x == y) for y in score[truth == 0]] for x in score[truth == 1]])
        values.append(wins.mean())
        by_positive.append(wins.mean(axis=1))
        by_negative.append(wins.mean(axis=0))
    covariance = np.cov(by_positive) / truth.sum() + np.cov(by_negative) / (1 - truth).sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return values, variance


@FAST
@given(scored())
def test_delong_is_the_paper_s(table):
    truth, (first, second) = table
    found = delong(one_tile_each(truth, first), one_tile_each(truth, second))
    values, variance = plain_delong(truth, first, second)
    assert (found.first, found.second) == pytest.approx(values)
    assert found.standard_error == pytest.approx(np.sqrt(max(variance, 0)), abs=1e-7)
    if variance > 1e-10 and abs(values[1] - values[0]) > 1e-9:
        assert found.p == pytest.approx(2 * stats.norm.sf(abs(values[1] - values[0]) / np.sqrt(variance)))


def test_delong_of_one_class_alone_is_undefined():
    truth = np.array([1, 0, 0, 0])
    assert delong(one_tile_each(truth, [0.9, 0.1, 0.2, 0.3]), one_tile_each(truth, [0.9, 0.1, 0.2, 0.3])) is None


@FAST
@given(scored())
def test_mcnemar_is_statsmodels(table):
    truth, scores = table
    first, second = (one_tile_each(truth, score) for score in scores)
    right = [(one["pred_class"] == one["class"]).to_numpy() for one in (first, second)]
    counts = [[(right[0] & right[1]).sum(), (right[0] & ~right[1]).sum()],
              [(~right[0] & right[1]).sum(), (~right[0] & ~right[1]).sum()]]  # fmt: skip
    found = mcnemar(first, second)
    assert (found.gained, found.lost) == (counts[1][0], counts[0][1])
    assert found.p == pytest.approx(sm_mcnemar(counts, exact=True).pvalue)


@FAST
@given(st.integers(0, 40), st.integers(1, 40))
@example(0, 3)
def test_wilson_s_ends_are_where_the_score_test_is_just_significant(right, more):
    n = right + more
    _, low, high = wilson_interval(right, n)
    for end in (low, high):
        if 0 < end < 1:
            assert abs(right / n - end) == pytest.approx(stats.norm.ppf(0.975) * np.sqrt(end * (1 - end) / n))
    assert low <= right / n <= high


@settings(max_examples=12, deadline=None)  # statsmodels collects garbage at every call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_steps_down(p_values):
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    assert holm(p_values) == pytest.approx(adjusted)


@FAST
@given(scored(arms=1, least=4), st.data())
def test_auroc_within_groups_counts_pairs_one_by_one(table, data):
    truth, (score,) = table
    groups = np.array(data.draw(st.lists(st.sampled_from("ab"), min_size=len(truth), max_size=len(truth))))
    frame = pd.DataFrame({"class": truth, "pred_class": 0, "prob_positive": score, "site": groups, "fold": groups})
    wins = {group: [] for group in "ab"}
    for i in np.flatnonzero(truth == 1):
        for j in np.flatnonzero(truth == 0):
            if groups[i] == groups[j]:
                wins[groups[i]].append((score[i] > score[j]) + 0.5 * (score[i] == score[j]))
    found = patient_metrics(frame)
    pairs = wins["a"] + wins["b"]
    assert found["auroc_within_sites"] == (pytest.approx(np.mean(pairs)) if pairs else None)
    means = [np.mean(one) for one in wins.values() if one]
    assert found["auroc_within_folds"] == (pytest.approx(np.mean(means)) if means else None)
