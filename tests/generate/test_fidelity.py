"""The reader of classes, and the alarm where a class has collapsed."""

import numpy as np
import pytest

from components.generate.fidelity import Reader, Tally, fidelity_row, tallies
from components.generate.memorisation import unit


def clouds(count: int, seed: int, spread: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Two classes in 20 dimensions, a unit apart."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % 2
    return (np.eye(20)[classes] + rng.normal(0, spread, (count, 20))).astype(np.float32), classes


@pytest.fixture(scope="module")
def world() -> tuple[Reader, dict[int, Tally], dict[int, Tally]]:
    features, classes = clouds(200, 0)
    reader = Reader(features, classes)
    return reader, tallies(reader, features, classes, [0, 1]), tallies(reader, *clouds(100, 1), [0, 1])


def row_of(world, features: np.ndarray, index: int) -> dict:
    reader, train, held_out = world
    made = Tally()
    for part in np.array_split(features, 3):
        made.add(part, reader, index)
    return fidelity_row("PTC", 2, made, train[index], held_out[index])


def test_good_tiles_are_recognised_as_real_ones_are(world) -> None:
    features, classes = clouds(300, 2)
    row = row_of(world, features[classes == 1], 1)
    assert row["generated"] == 150
    assert row["recognised"] == pytest.approx(row["held_out_recognised"], abs=0.1)
    assert row["spread"] == pytest.approx(1, abs=0.1)
    assert row["alarm"] == ""


def test_tiles_of_the_other_class_raise_the_alarm(world) -> None:
    features, classes = clouds(300, 2)
    row = row_of(world, features[classes == 0], 1)
    assert row["recognised"] < 0.2
    assert "of the generated tiles of PTC are recognised as such" in row["alarm"]


def test_one_tile_again_and_again_raises_the_alarm(world) -> None:
    features, classes = clouds(300, 2)
    row = row_of(world, np.repeat(features[classes == 1][:1], 100, axis=0), 1)
    assert row["recognised"] == 1
    assert row["spread"] < 0.01
    assert "0% of the spread of real ones" in row["alarm"]


def test_spread_is_the_mean_distance_to_the_mean() -> None:
    features, _ = clouds(50, 3)
    tally = Tally()
    tally.add(features, None, 0)
    own = unit(features)
    assert tally.spread == pytest.approx(np.sqrt(((own - own.mean(0)) ** 2).sum(1).mean()), rel=1e-5)
    assert Tally().spread is None
    assert Tally().share is None


def test_no_alarm_from_a_reader_that_cannot_read_or_from_few_tiles(world) -> None:
    features, classes = clouds(300, 2)
    reader, train, _ = world
    made, blind = Tally(), Tally()
    made.add(features[classes == 0], reader, 1)
    blind.tiles, blind.recognised = 20, 9  # no better than chance on held-out tiles
    assert fidelity_row("PTC", 2, made, train[1], blind)["alarm"] == ""
    few = Tally()
    few.add(features[classes == 0][:2], reader, 1)
    assert "recognised" not in fidelity_row("PTC", 2, few, train[1], world[2][1])["alarm"]
    assert fidelity_row("PTC", 1, made, train[1], blind)["recognised"] is None
