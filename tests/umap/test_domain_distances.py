"""Weights against the same tiles written out, and against the features package's own distances."""

from uuid import uuid4

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from components.core.fidelity.kid import kernel_distance
from components.umap.domain_distances import (
    FRECHET,
    KERNEL,
    MIXING,
    SEPARABILITY,
    DomainFeatures,
    domain_distances,
    frechet,
    kernel,
    mixing,
    separability,
)


def domain(rng, count=60, shift=0.0, patients=12, width=6):
    features = rng.normal(shift, 1, (count, width))
    groups = np.array([f"{shift} {place % patients}" for place in range(count)], object)
    return DomainFeatures(features, features, groups)


def alone(one):
    """The same tiles, each its own group."""
    return DomainFeatures(one.features, one.reduced, np.array([uuid4().hex for _ in range(len(one))], object))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_kernel_equals_the_library_on_tiles_counted_once(rng):
    a, b = domain(rng), domain(rng, shift=0.5)
    theirs = kernel_distance(a.features, b.features, subset_size=60).value
    assert kernel(a, b)(a.ones(), b.ones()) == pytest.approx(theirs, rel=1e-9)


def test_a_tile_drawn_twice_is_not_compared_with_itself(rng):
    a, b = domain(rng), domain(rng)
    drawn = [rng.multinomial(60, np.full(60, 1 / 60), size=300) for _ in range(2)]
    values = [kernel(a, b)(of_a, of_b) for of_a, of_b in zip(*drawn, strict=True)]
    doubled = [
        kernel_distance(np.repeat(a.features, of_a, 0), np.repeat(b.features, of_b, 0), subset_size=60).value
        for of_a, of_b in zip(*drawn, strict=True)
    ]
    once = kernel(a, b)(a.ones(), b.ones())
    error = 4 * np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - once) < error < np.mean(doubled) - once


def test_frechet_counts_a_tile_as_often_as_its_weight(rng):
    a, b = domain(rng), domain(rng, shift=1.0)
    weights = rng.integers(0, 3, 60)
    written_out = DomainFeatures(
        np.repeat(a.features, weights, 0), np.repeat(a.reduced, weights, 0), np.array([], object)
    )
    assert frechet(a, b)(weights, b.ones()) == frechet(written_out, b)(written_out.ones(), b.ones())


def test_mixing_equals_a_search_without_groups(rng):
    a, b = alone(domain(rng)), alone(domain(rng, shift=0.7))
    points, in_b = np.concatenate([a.reduced, b.reduced]), np.arange(120) >= 60
    found = NearestNeighbors(n_neighbors=11).fit(points).kneighbors(points, return_distance=False)[:, 1:]
    other = (in_b[found] != in_b[:, None]).mean(axis=1)
    assert mixing(a, b, 10)(a.ones(), b.ones()) == pytest.approx(other.mean() / (60 / 119))


def test_mixing_passes_over_tiles_of_the_same_patient(rng):
    a, b = domain(rng, patients=6), domain(rng, patients=6)
    # every patient's tiles lie on one spot: without the rule each tile would only have itself for company
    a, b = (DomainFeatures(one.features, one.reduced[np.arange(60) % 6], one.groups) for one in (a, b))
    b = DomainFeatures(b.features, b.reduced, np.char.add(b.groups.astype(str), " of b").astype(object))
    assert mixing(a, b, 5)(a.ones(), b.ones()) > 0.5
    assert mixing(alone(a), alone(b), 5)(a.ones(), b.ones()) < 0.1


def test_equal_domains_and_distant_ones_are_told_apart(rng):
    equal = domain(rng), domain(rng)
    equal = equal[0], DomainFeatures(equal[1].features, equal[1].reduced, equal[1].groups + " b")
    distant = equal[0], domain(rng, shift=4.0)
    near = {
        name: measure(np.ones(60, int), np.ones(60, int)) for name, measure in domain_distances(*equal, 10, 0).items()
    }
    far = {
        name: measure(np.ones(60, int), np.ones(60, int)) for name, measure in domain_distances(*distant, 10, 0).items()
    }
    assert abs(near[KERNEL]) < 0.5 < 5 < far[KERNEL]
    assert near[FRECHET] < 1 < 90 < far[FRECHET] < 102  # 6 * 4^2 = 96 and what sampling adds
    assert far[MIXING] < 0.02 < 0.85 < near[MIXING] < 1.15
    assert 0.3 < near[SEPARABILITY] < 0.7 < 0.999 < far[SEPARABILITY]


def test_the_classifier_is_tested_on_other_patients(rng):
    # domains differ by nothing, patients by much: a classifier that knows the patient knows the domain
    def patchy(name):
        centre = rng.normal(0, 5, (4, 6))
        features = centre[np.arange(60) % 4] + rng.normal(0, 0.1, (60, 6))
        return DomainFeatures(features, features, np.array([f"{name} {place % 4}" for place in range(60)], object))

    fair, unfair = [], []
    for _ in range(8):
        a, b = patchy("a"), patchy("b")
        fair.append(separability(a, b, 0)(a.ones(), b.ones()))
        unfair.append(separability(alone(a), alone(b), 0)(a.ones(), b.ones()))
    assert np.mean(unfair) > 0.9 and np.mean(fair) < 0.75


def test_one_patient_leaves_nobody_to_test_on(rng):
    a, b = domain(rng), domain(rng, shift=1.0, patients=1)
    assert np.isnan(separability(a, b, 0)(a.ones(), b.ones()))
