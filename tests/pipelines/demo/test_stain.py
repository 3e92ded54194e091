"""Stain and scanner: a scanner's pixels give back the hospital's stain vectors, light and noise."""

import numpy as np
import pytest

from pipelines.demo import DIAGNOSES, HOSPITAL_A, HOSPITAL_B, HOSPITALS, PatientEffect, render_field
from pipelines.demo.stain import photograph


def macenko(pixels, white):
    """Stain vectors [2, 3], haematoxylin first, by Macenko et al. 2009: extreme directions in the plane of colours."""
    density = -np.log((pixels.reshape(-1, 3) + 0.5) / white)
    density = density[np.linalg.norm(density, axis=1) > 0.35]
    _, axes = np.linalg.eigh(np.cov(density.T))
    plane = axes[:, 1:]
    plane = plane * np.sign(plane.sum(axis=0))
    angles = np.arctan2(*(density @ plane).T)
    directions = [plane @ (np.sin(angle), np.cos(angle)) for angle in np.percentile(angles, (0.5, 99.5))]
    return np.array(sorted(directions, key=lambda vector: -vector[0] / vector[1]))


def degrees_between(a, b):
    cosine = abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b)
    return np.degrees(np.arccos(min(cosine, 1.0)))


@pytest.fixture(scope="module")
def recovered():
    found = {}
    for hospital in HOSPITALS:
        fields = [
            render_field(np.random.default_rng([3, index]), hospital, diagnosis, PatientEffect(), 160)[0]
            for index, diagnosis in enumerate(DIAGNOSES)
        ]
        found[hospital.site] = macenko(np.stack(fields), hospital.white)
    return found


@pytest.mark.parametrize("hospital", HOSPITALS, ids=lambda hospital: hospital.site)
def test_macenko_recovers_the_stain_vectors(recovered, hospital):
    for estimate, truth in zip(recovered[hospital.site], hospital.stain_vectors, strict=True):
        assert degrees_between(estimate, truth) < 5


def test_the_recovered_stains_tell_the_hospitals_apart(recovered):
    eosin_apart = degrees_between(HOSPITAL_A.stain_vectors[1], HOSPITAL_B.stain_vectors[1])
    assert eosin_apart > 10
    assert degrees_between(recovered["hospital-a"][1], recovered["hospital-b"][1]) > 0.6 * eosin_apart


@pytest.mark.parametrize("hospital", HOSPITALS, ids=lambda hospital: hospital.site)
def test_empty_glass_shows_lamp_and_sensor_noise(hospital):
    empty = np.zeros((128, 128), np.float32)
    pixels = photograph(np.random.default_rng(0), hospital, empty, empty, 0.5).reshape(-1, 3)
    np.testing.assert_allclose(pixels.mean(axis=0), hospital.white, atol=0.3)
    np.testing.assert_allclose(pixels.std(axis=0), np.hypot(hospital.noise, 12**-0.5), rtol=0.05)


def test_an_even_layer_obeys_beer_lambert():
    layer = np.full((64, 64), 0.8, np.float32)
    pixels = photograph(np.random.default_rng(0), HOSPITAL_A, layer, 0 * layer, 0.5)
    density = -np.log(pixels.reshape(-1, 3).mean(axis=0) / HOSPITAL_A.white)
    np.testing.assert_allclose(
        density, 0.8 * np.array(HOSPITAL_A.hematoxylin) / np.linalg.norm(HOSPITAL_A.hematoxylin), atol=0.01
    )
