"""Arms' counts against what Thy-GAN drew."""

import json
from collections import Counter
from pathlib import Path

import pytest

from components.core.errors import ConfigError
from components.generate.arm_counts import arms_of_scheme, images_to_add, largest_counts
from components.generate.sampling_plan import first_seed, latent_seed

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "thygan" / "data"


def published_counts(arm: str) -> dict[int, int]:
    """Counts in a parameter file; its ranges `a-b` are read as range(a, b), as Thy-GAN's loader does."""
    value = json.loads((REFERENCE / "gan_params" / f"full_{arm}.json").read_text())
    ranges = [[int(end) for end in one.split("-")] for one in value["seeds"]]
    return {index: len(range(*ends)) for index, ends in zip(value["classes"], ranges, strict=True)}


@pytest.mark.parametrize(("arm", "labels"), [("bi100", "bi"), ("bi200", "bi"), ("mc", "mc"), ("mc100", "mc")])
def test_counts_are_those_that_were_published(arm: str, labels: str) -> None:
    if not REFERENCE.exists():
        pytest.skip("skipped: the published parameter files are absent")
    label_of = dict(json.loads((REFERENCE / "labels" / f"{labels}_dataset.json").read_text())["labels"])
    train = json.loads((REFERENCE / "full_data_splits" / "data_split_4.json").read_text())["train"]
    assert images_to_add(arm, Counter(label_of[file] for file in train)) == published_counts(arm)


def test_counts_by_hand() -> None:
    tiles = {0: 10, 1: 4, 2: 7}
    assert images_to_add("bi100", tiles) == {0: 10, 1: 4, 2: 7}
    assert images_to_add("bi200", tiles) == {0: 20, 1: 8, 2: 14}
    assert images_to_add("mc", tiles) == {1: 6, 2: 3}
    assert images_to_add("mc100", tiles) == {0: 10, 1: 16, 2: 13}


def test_the_largest_counts_serve_every_arm() -> None:
    assert largest_counts({"mc": {1: 6, 2: 30}, "mc100": {0: 10, 1: 16, 2: 13}}) == {0: 10, 1: 16, 2: 30}
    assert largest_counts({}) == {}


def test_arms_of_a_scheme() -> None:
    arms = ["none", "stain-aug", "bi100", "bi100-real", "mc", "bi200"]
    assert arms_of_scheme(arms, "binary") == ["bi100", "bi200"]
    assert arms_of_scheme(arms, "diagnosis") == ["mc"]
    with pytest.raises(ConfigError, match="no arm 'bi300'"):
        arms_of_scheme(["bi300"], "binary")


def test_latent_seeds_are_distinct_repeatable_and_legal() -> None:
    seeds = [latent_seed(first_seed(0, 1), image) for image in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert seeds == [latent_seed(first_seed(0, 1), image) for image in range(1000)]
    assert first_seed(1, 1) != seeds[0] != first_seed(0, 0)
    assert max(latent_seed(first_seed(seed, 0), 2**31) for seed in range(50)) < 2**32
