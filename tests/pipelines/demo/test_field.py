"""One field: what it says is in it can be measured in its pixels."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from components.core.errors import ConfigError
from pipelines.demo import DIAGNOSES, HOSPITAL_A, PatientEffect, render_field


def drawn(*seed, diagnosis="FTC", effect=None, **options):
    return render_field(np.random.default_rng(seed), HOSPITAL_A, diagnosis, effect or PatientEffect(), **options)


def dark(pixels):
    """Nuclei by a threshold: red is what haematoxylin takes and eosin leaves."""
    return ndimage.binary_opening(ndimage.gaussian_filter(pixels[..., 0].astype(float), 1.0) < 150, iterations=2)


def test_a_field_repeats_and_another_seed_differs():
    first, truth = drawn(1, size_px=96)
    again, same_truth = drawn(1, size_px=96)
    other, _ = drawn(2, size_px=96)
    assert first.shape == (96, 96, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert truth == same_truth
    assert (first != other).mean() > 0.5


def blob_radii_um(pixels, mpp):
    """Radii of the dark blobs without the small ones, which are of the stroma or cut by the edge: [n]."""
    blobs, count = ndimage.label(dark(pixels))
    areas = ndimage.sum_labels(np.ones_like(blobs), blobs, np.arange(1, count + 1))
    radii_um = mpp * np.sqrt(areas / np.pi)
    return radii_um[radii_um > 2.7]


def test_counted_blobs_follow_the_true_number_of_nuclei():
    true, counted = [], []
    for index in range(10):
        effect = PatientEffect(spacing=1.15 + 0.1 * index, clearing_shift=-0.2)
        pixels, truth = drawn(4, index, effect=effect)
        true.append(truth["nuclei"])
        counted.append(len(blob_radii_um(pixels, 0.5)))
    assert max(true) > 1.5 * min(true)
    assert np.corrcoef(true, counted)[0, 1] > 0.8


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_truth_follows_the_diagnosis_and_the_patient(diagnosis):
    look = DIAGNOSES[diagnosis]
    _, truth = drawn(5, diagnosis=diagnosis)
    _, larger = drawn(5, diagnosis=diagnosis, effect=PatientEffect(nuclear_size=1.3))
    assert truth["nuclei"] > 30
    assert truth["nuclear_radius_um"] == pytest.approx(look.nuclear_radius_um, rel=0.05)
    assert larger["nuclear_radius_um"] == pytest.approx(1.3 * look.nuclear_radius_um, rel=0.05)
    assert truth["clearing"] == pytest.approx(look.clearing, abs=0.05)


def test_single_nuclei_have_the_area_that_the_truth_states():
    effect = PatientEffect(spacing=1.6, clearing_shift=-0.2)
    small, truth = drawn(6, effect=effect, mpp=0.25, size_px=512)
    large, truth_large = drawn(6, effect=replace(effect, nuclear_size=1.3), mpp=0.25, size_px=512)

    measured, measured_large = (np.median(blob_radii_um(pixels, 0.25)) for pixels in (small, large))
    assert measured == pytest.approx(truth["nuclear_radius_um"], rel=0.15)
    assert measured_large / measured == pytest.approx(
        truth_large["nuclear_radius_um"] / truth["nuclear_radius_um"], rel=0.10
    )


def test_cleared_nuclei_are_paler():
    def darkness(shift):
        pixels, _ = drawn(7, diagnosis="NIFTP", effect=PatientEffect(clearing_shift=shift))
        return np.mean(255.0 - pixels[dark(pixels)][:, 0])

    assert darkness(-0.4) > darkness(0.3) + 15


def test_more_of_a_dye_darkens_what_it_stains():
    plain, _ = drawn(8)
    eosin, _ = drawn(8, effect=PatientEffect(eosin=1.5))
    hematoxylin, _ = drawn(8, effect=PatientEffect(hematoxylin=1.5))
    loss_eosin = plain.mean((0, 1)) - eosin.mean((0, 1))
    loss_hematoxylin = plain.mean((0, 1)) - hematoxylin.mean((0, 1))
    assert loss_eosin[1] > 3 * loss_eosin[0] > 0
    assert loss_hematoxylin[0] > 0.7 * loss_hematoxylin[1] > 0


def test_papillae_stand_in_empty_space_and_follicles_hold_colloid():
    def white_share(diagnosis):
        looks = [drawn(9, index, diagnosis=diagnosis)[0] for index in range(4)]
        return np.mean(np.stack(looks).min(axis=-1) > 225)

    assert white_share("PTC") > 0.10
    assert white_share("FA") < 0.03


@pytest.mark.parametrize(("size_px", "mpp"), [(32, 0.1), (32, 4.0), (65, 2.0), (301, 0.5)])
@pytest.mark.parametrize("diagnosis", ["PTC", "FA"])
def test_any_size_and_scale_can_be_drawn(diagnosis, size_px, mpp):
    pixels, truth = drawn(10, diagnosis=diagnosis, size_px=size_px, mpp=mpp)
    assert pixels.shape == (size_px, size_px, 3)
    assert np.isfinite(list(truth.values())).all()


@pytest.mark.parametrize(
    ("bad", "says"),
    [({"diagnosis": "ATC"}, "it has PTC, FA"), ({"mpp": 0.0}, "0.1 to 4 um"), ({"size_px": 8}, "32 pixels")],
)
def test_what_cannot_be_drawn_is_refused(bad, says):
    with pytest.raises(ConfigError, match=says):
        drawn(11, **bad)
