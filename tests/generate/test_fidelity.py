"""The linear probe, and the alarm where a class has collapsed."""

import numpy as np
import pytest

from components.core.features.extract import unit_features
from components.core.records.generate import ClassFidelityRow
from components.generate.fidelity import ClassStats, LinearProbe, class_fidelity, stats_per_class


def clouds(count: int, seed: int, spread: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Two classes in 20 dimensions, a unit apart."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % 2
    return (np.eye(20)[classes] + rng.normal(0, spread, (count, 20))).astype(np.float32), classes


@pytest.fixture(scope="module")
def world() -> tuple[LinearProbe, dict[int, ClassStats], dict[int, ClassStats]]:
    features, classes = clouds(200, 0)
    probe = LinearProbe(features, classes)
    return probe, stats_per_class(probe, features, classes, [0, 1]), stats_per_class(probe, *clouds(100, 1), [0, 1])


def row_of(world, features: np.ndarray, index: int) -> ClassFidelityRow:
    probe, train, held_out = world
    generated = ClassStats()
    for part in np.array_split(features, 3):
        generated.add(part, probe, index)
    return class_fidelity("PTC", index, 2, generated, train[index], held_out[index])


def test_good_tiles_are_recognised_as_real_ones_are(world) -> None:
    features, classes = clouds(300, 2)
    row = row_of(world, features[classes == 1], 1)
    assert row.generated == 150
    assert row.recognised == pytest.approx(row.held_out_recognised, abs=0.1)
    assert row.spread == pytest.approx(1, abs=0.1)
    assert row.alarm == ""


def test_tiles_of_the_other_class_raise_the_alarm(world) -> None:
    features, classes = clouds(300, 2)
    row = row_of(world, features[classes == 0], 1)
    assert row.recognised < 0.2
    assert "of the generated tiles of PTC are recognised as such" in row.alarm


def test_one_tile_again_and_again_raises_the_alarm(world) -> None:
    features, classes = clouds(300, 2)
    row = row_of(world, np.repeat(features[classes == 1][:1], 100, axis=0), 1)
    assert row.recognised == 1
    assert row.spread < 0.01
    assert "0% of the spread of real ones" in row.alarm


def test_spread_is_the_mean_distance_to_the_mean() -> None:
    features, _ = clouds(50, 3)
    stats = ClassStats()
    stats.add(features, None, 0)
    vectors = unit_features(features)
    assert stats.spread == pytest.approx(np.sqrt(((vectors - vectors.mean(0)) ** 2).sum(1).mean()), rel=1e-5)
    assert ClassStats().spread is None
    assert ClassStats().share_recognised is None


def test_no_alarm_from_a_probe_at_chance_level_or_from_few_tiles(world) -> None:
    features, classes = clouds(300, 2)
    probe, train, _ = world
    generated, blind = ClassStats(), ClassStats()
    generated.add(features[classes == 0], probe, 1)
    blind.tiles, blind.recognised = 20, 9  # no better than chance on held-out tiles
    assert class_fidelity("PTC", 1, 2, generated, train[1], blind).alarm == ""
    few = ClassStats()
    few.add(features[classes == 0][:2], probe, 1)
    assert "recognised" not in class_fidelity("PTC", 1, 2, few, train[1], world[2][1]).alarm
    assert class_fidelity("PTC", 1, 1, generated, train[1], blind).recognised is None
