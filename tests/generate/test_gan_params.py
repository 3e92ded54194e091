"""Thy-GAN's parameter files: read as its loader read them, refused where they do not fit."""

import json
from collections import Counter
from pathlib import Path

import pytest

from components.core.errors import ConfigError, DataError
from components.generate.gan_params import read_gan_params
from components.generate.sampling_plan import first_seed, make_sampling_plan

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "thygan" / "data"
BINARY = [{"index": 0, "name": "benign", "label": 0}, {"index": 1, "name": "PTC-like", "label": 1}]


def text(seeds: list[str], classes: list[int] = [0, 1], class_map: list[int] = [0, 1]) -> str:  # noqa: B006
    return json.dumps({"classes": classes, "seeds": seeds, "network": ["gan.pkl"], "class_map": class_map})


def test_the_end_of_a_range_is_left_out() -> None:
    params = read_gan_params(text(["0-680", "5-533"]), "bi100")
    assert params.counts == {0: 680, 1: 528}
    assert params.first_seeds == {0: 0, 1: 5}
    assert params.labels == {0: 0, 1: 1}


def test_the_published_files_are_read_and_give_what_data_split_4_gives() -> None:
    if not REFERENCE.exists():
        pytest.skip("skipped: the published parameter files are absent")
    label_of = dict(json.loads((REFERENCE / "labels" / "bi_dataset.json").read_text())["labels"])
    train = json.loads((REFERENCE / "full_data_splits" / "data_split_4.json").read_text())["train"]
    tiles = Counter(label_of[file] for file in train)
    files = {arm: str(REFERENCE / "gan_params" / f"full_{arm}.json") for arm in ("bi100", "bi200", "mc")}
    plan = make_sampling_plan(["bi100", "bi200"], "binary", tiles, BINARY, files, 0)
    assert plan.counts == make_sampling_plan(["bi100", "bi200"], "binary", tiles, BINARY, {}, 0).counts
    assert plan.counts["bi100"] == {0: 680, 1: 533}
    assert plan.images_per_class == {0: 1360, 1: 1066}
    assert plan.first_seeds == {0: 0, 1: 0}


def test_without_parameters_seeds_follow_from_the_stages_own() -> None:
    plan = make_sampling_plan(["none", "bi100", "mc"], "binary", {0: 3, 1: 2}, BINARY, {}, 7)
    assert plan.counts == {"bi100": {0: 3, 1: 2}}
    assert plan.first_seeds == {index: first_seed(7, index) for index in (0, 1)}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (text(["0-680"]), "differ in length"),
        (text(["680-0", "0-5"]), "'680-0' is not a range"),
        (text(["0", "0-5"]), "'0' is not a range"),
        (text(["0-5", "0-5"], [0, 0]), "name a class twice"),
        (text(["0-5", "0-5"], [0, -1]), "-1 is not a class"),
        ('{"classes": [0]}', "lacks 'seeds'"),
        ("{", "cannot be read"),
        ("[1]", "There is no file"),
    ],
)
def test_invalid_parameters_are_refused(source: str, message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        read_gan_params(source, "bi100")


def test_parameters_for_another_generator_are_refused() -> None:
    tiles = {0: 3, 1: 2}
    with pytest.raises(ConfigError, match="give class 0 the label 1; in the generator it has label 0"):
        make_sampling_plan(["bi100"], "binary", tiles, BINARY, {"bi100": text(["0-5", "0-5"], class_map=[1, 0])}, 0)
    with pytest.raises(ConfigError, match="does not exist"):
        make_sampling_plan(["bi100"], "binary", tiles, BINARY, {"bi100": text(["0-5", "0-5"], [0, 4])}, 0)
    both = {"bi100": text(["0-5", "0-5"]), "bi200": text(["3-9", "0-5"])}
    with pytest.raises(ConfigError, match="begin class 0 at the seeds 0 and 3"):
        make_sampling_plan(["bi100", "bi200"], "binary", tiles, BINARY, both, 0)
    with pytest.raises(ConfigError, match="no arm 'bi300'"):
        make_sampling_plan(["bi100"], "binary", tiles, BINARY, {"bi300": text(["0-5", "0-5"])}, 0)
