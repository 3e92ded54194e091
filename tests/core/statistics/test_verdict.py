"""The verdict's rules, on tables made to meet or miss each of them."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tables import one_tile_each, separated

from components.core.errors import ConfigError, DataError
from components.core.statistics.bootstrap import Bootstrap
from components.core.statistics.paired_tests import auroc_difference
from components.core.statistics.patients import patient_predictions
from components.core.statistics.power import detectable_auroc
from components.core.statistics.predictions import as_predictions
from components.core.statistics.verdict import BETTER, NOT_SHOWN, UNDERPOWERED, WORSE, compare_arms
from components.report.verdict_text import reason_text

N = (60, 60)
FEW = {"resamples": 400}


def scores(shift, seed=0, sizes=N):
    return separated(np.random.default_rng(seed), *sizes, shift)[1]


TRUTH = separated(np.random.default_rng(0), *N, 0)[0]


def arms(**of_arm):
    """Arm -> its scores, or seed -> scores; underscores in names become hyphens."""
    tables = []
    for arm, value in of_arm.items():
        for seed, score in (value if isinstance(value, dict) else {"0": value}).items():
            tables.append(one_tile_each(TRUTH, score, arm=arm.replace("_", "-"), seed=seed))
    return pd.concat(tables)


def only(table, **options):
    (found,) = compare_arms(table, **FEW, **options)
    return found


def test_a_clear_gain_is_better_and_its_mirror_image_worse():
    weak, strong = scores(1.0), scores(4.0, 1)
    gain, loss = only(arms(none=weak, bi100=strong)), only(arms(none=strong, bi100=weak))
    assert (gain.verdict, loss.verdict) == (BETTER, WORSE)
    assert gain.endpoint.test.difference == pytest.approx(-loss.endpoint.test.difference)
    assert "all seeds agree" not in reason_text(gain) and "the one seed agrees" in reason_text(gain)
    assert "adjusted p < 0.0" in reason_text(gain) or "adjusted p = 0.0" in reason_text(gain)


def test_one_seed_that_disagrees_stops_a_better():
    weak, strong = scores(1.0), scores(4.0, 1)
    table = arms(none={"0": weak, "1": scores(1.6, 7), "2": weak}, bi100={"0": strong, "1": weak, "2": strong})
    found = only(table)
    assert found.endpoint.p_adjusted < 0.05 and found.endpoint.test.difference > 0
    assert found.verdict in (NOT_SHOWN, UNDERPOWERED) and "only 2 of 3 seeds agree" in reason_text(found)


def test_arms_without_a_common_seed_cannot_be_better():
    found = only(arms(none={"0": scores(1.0)}, bi100={"7": scores(4.0, 1)}))
    assert found.verdict in (NOT_SHOWN, UNDERPOWERED) and "no seed in common" in reason_text(found)


def test_a_balanced_accuracy_of_a_half_stops_a_better():
    table = arms(none=scores(1.0), bi100=scores(4.0, 1))
    table.loc[table["arm"] == "bi100", "pred_class"] = 1  # ranks well, but says 1 of everybody
    found = only(table)
    assert found.endpoint.p_adjusted < 0.05
    assert found.verdict in (NOT_SHOWN, UNDERPOWERED) and "balanced accuracy of bi100, 0.50" in reason_text(found)
    worse = only(table, baseline="bi100")  # its mirror image: it is the baseline that says 1 of everybody
    assert worse.verdict in (NOT_SHOWN, UNDERPOWERED)


def test_underpowered_or_not_shown_hangs_on_what_matters():
    base = scores(2.0)
    like = np.clip(base + np.random.default_rng(5).normal(size=len(base)) * 0.02, 0, 1)
    table = arms(none=base, bi100=like)
    detectable = only(table).endpoint.test.minimal_detectable
    assert only(table, relevant_difference=detectable + 0.001).verdict == NOT_SHOWN
    assert only(table, relevant_difference=detectable - 0.001).verdict == UNDERPOWERED
    assert f"{detectable:.3f} would have been found" in reason_text(only(table, relevant_difference=0.5))


def test_holm_covers_every_arm_of_the_plan_and_the_detectable_difference_its_alpha():
    base, other = scores(2.0), scores(2.6, 1)
    alone = only(arms(none=base, bi100=other)).endpoint
    three = compare_arms(arms(none=base, bi100=other, bi200=scores(2.0, 2), mc=scores(2.0, 3)), **FEW)[0].endpoint
    assert three.test.p == alone.test.p and three.p_adjusted == pytest.approx(min(1, 3 * alone.test.p))
    assert three.test.minimal_detectable > alone.test.minimal_detectable


def test_only_pairs_within_qualifying_sites_count():
    # site b tells its patients from those of a, but has one class only; site c has too few of class 0
    truth, score = separated(np.random.default_rng(0), 20, 20, 1.0)
    a = [one_tile_each(truth, score, arm=arm, site="a") for arm in ("none", "bi100")]
    b = [one_tile_each([1] * 30, [level] * 30, arm=arm, site="b") for arm, level in (("none", 0.1), ("bi100", 0.99))]
    c = [one_tile_each([1] * 9 + [0] * 4, [0.9] * 9 + [level] * 4, arm=arm, site="c")
         for arm, level in (("none", 0.95), ("bi100", 0.1))]  # fmt: skip
    found = only(pd.concat([*a, *b, *c]))
    assert found.endpoint.sites == ["a"] and found.endpoint.patients == 40
    assert found.endpoint.test.difference == 0 and found.endpoint.test.p == 1
    assert found.secondary.differences["auroc"].value > 0.1  # all pairs pooled would have shown a gain


def test_without_a_qualifying_site_nothing_is_measured():
    table = pd.concat([one_tile_each([1] * 9 + [0] * 4, np.linspace(0, 1, 13), arm=arm) for arm in ("none", "mc")])
    found = only(table)
    assert found.verdict == UNDERPOWERED and "No site has 5 patients of each class" in reason_text(found)
    assert found.row()["endpoint_p"] is None and found.row()["mcnemar_p"] == 1


def test_generated_tiles_help_only_where_the_control_is_beaten_too():
    weak, strong = scores(1.0), scores(4.0, 1)
    told = {
        name: {one.arm: one.gan_tiles_help for one in compare_arms(table, **FEW)}
        for name, table in {
            "both": arms(none=weak, bi100=strong, bi100_real=scores(1.0, 2)),
            "control as good": arms(none=weak, bi100=strong, bi100_real=scores(4.0, 3)),
            "baseline as good": arms(none=scores(4.0, 4), bi100=strong, bi100_real=weak),
        }.items()
    }
    assert told["both"] == {"bi100": True, "bi100-real": None}
    assert told["control as good"]["bi100"] is told["baseline as good"]["bi100"] is False


def test_a_label_conflict_is_judged_by_the_baseline_s_label():
    table = as_predictions(arms(none=scores(2.0), bi100=scores(2.0)))
    flipped = table["arm"].eq("bi100") & table["patient"].eq("p0")
    table.loc[flipped, "class"] = 1 - table.loc[flipped, "class"]
    found = only(table)
    assert found.secondary.mcnemar_gained == found.secondary.mcnemar_lost == 0
    assert found.endpoint.test.difference == 0


def test_arms_without_common_cases_say_so():
    table = pd.concat(
        [arms(none=scores(1.0)), arms(bi100=scores(1.0)).assign(patient=lambda one: one["patient"] + "x")]
    )
    found = only(table)
    assert found.verdict == UNDERPOWERED and "no case in common" in reason_text(found) and found.secondary.cases == 0


def test_a_patient_s_cases_are_resampled_together():
    """Each patient entered twice: the estimate stays, and so does its uncertainty, to which cases alone would lie."""
    truth, score = separated(np.random.default_rng(3), 30, 30, 1.0)
    other = separated(np.random.default_rng(4), 30, 30, 1.5)[1]
    one = [patient_predictions(one_tile_each(truth, one)) for one in (score, other)]
    two = [pd.concat([cases, cases.assign(case=cases["case"] + "b")], ignore_index=True) for cases in one]
    single, double = (auroc_difference(*pair, Bootstrap(pair[0], resamples=500)) for pair in (one, two))
    assert double.difference == pytest.approx(single.difference)
    assert double.standard_error == pytest.approx(single.standard_error, rel=0.02)


def test_the_same_seed_gives_the_same_answer():
    table = arms(none=scores(1.0), bi100=scores(1.4, 1))
    assert only(table, seed=1).row() == only(table, seed=1).row() != only(table, seed=2).row()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"arms": ["mc"]}, ConfigError, "no predictions of arm 'mc'; there are none, bi100"),
        ({"sites": ["there"]}, ConfigError, "no predictions of site 'there'; there are here"),
        ({"arms": ["none"]}, DataError, "no arm to compare with 'none'"),
    ],
)
def test_what_is_not_there_is_said(options, error, said):
    with pytest.raises(error, match=said):
        compare_arms(arms(none=scores(1.0), bi100=scores(1.0)), **options)


def test_detectable_auroc_is_detected_in_eight_of_ten_studies():
    rng, (positives, negatives) = np.random.default_rng(0), (40, 30)
    least = detectable_auroc(positives, negatives)
    shift = np.sqrt(2) * stats.norm.ppf(least)
    found = [
        stats.mannwhitneyu(rng.normal(shift, size=positives), rng.normal(size=negatives)).pvalue < 0.05
        for _ in range(1500)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)
    assert detectable_auroc(1, 1) is None and detectable_auroc(5, 0) is None
    assert detectable_auroc(400, 300) < least


@pytest.fixture(scope="module")
def bench():
    path = Path(__file__).parents[3] / "bench" / "verdict.py"
    spec = importlib.util.spec_from_file_location("bench_verdict", path)
    module = sys.modules["bench_verdict"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_where_no_arm_differs_few_studies_say_otherwise(bench):
    """20 of the bench's studies (bench/verdict.md has 500): at 5 % more than 4 come in one of 400 times."""
    found = [bench.judge(bench.NULL[0], 500, seed) for seed in range(20)]
    assert sum(one["p"] for one in found) <= 4
    assert sum(one["verdict"] for one in found) <= 4


def test_a_planted_effect_is_found(bench):
    scenario = bench.Scenario("planted", {"one": (71, 85)}, better={"mc100": 0.95})
    found = [bench.judge(scenario, 500, seed) for seed in range(5)]
    assert sum(one["found"] for one in found) >= 4 and not any(one["verdict"] for one in found)
