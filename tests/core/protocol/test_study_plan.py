"""The table of arms: counts that a person can check by hand, and rules that every row keeps."""

import pytest

from components.core.errors import ConfigError
from components.core.protocol.study_plan import ARM_SPECS, ARMS, StudyPlan, check_arms

TILES = {"PTC": 40, "FTC": 10, "FA": 25}


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        ("bi100", {"PTC": 40, "FTC": 10, "FA": 25}),
        ("bi200", {"PTC": 80, "FTC": 20, "FA": 50}),
        ("mc", {"PTC": 0, "FTC": 30, "FA": 15}),
        ("mc100", {"PTC": 40, "FTC": 70, "FA": 55}),
        ("none", {"PTC": 0, "FTC": 0, "FA": 0}),
    ],
)
def test_added_counts(arm: str, expected: dict[str, int]):
    assert {name: ARM_SPECS[arm].count_added(n, max(TILES.values())) for name, n in TILES.items()} == expected


def test_every_arm_with_a_generator_grows_and_no_other_does():
    for spec in ARM_SPECS.values():
        grows = spec.is_balanced or spec.growth > 1
        assert bool(spec.scheme) == grows == (spec.generated_per_tile > 0), spec.name
        assert spec.description and ARMS[spec.name] == spec.scheme


@pytest.mark.parametrize(
    ("arms", "sentence"),
    [
        (["none", "bi300"], "There is no arm 'bi300'; the arms are none, stain-aug"),
        (["none", "none", "bi100"], "'none' is listed twice"),
        (["bi100"], "add it to the arms"),
        (["none", "stain-aug"], "No arm uses a generator"),
        (["none", "stain-aug-real"], "There is no arm 'stain-aug-real'"),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(arms: list[str], sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        check_arms(arms)


def test_a_plan_refuses_arms_that_it_does_not_list():
    StudyPlan(["none", "bi100"], [0]).refuse_other(["bi100"])
    with pytest.raises(ConfigError, match="does not list mc, only none, bi100: split again"):
        StudyPlan(["none", "bi100"], [0]).refuse_other(["none", "mc"])
