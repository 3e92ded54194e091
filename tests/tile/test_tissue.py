import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyramid import tissue

from components.tile.tissue import otsu_threshold, tissue_mask, tissue_shares


def least_variance_within(values):
    """Otsu's criterion the other way round: every threshold's variance within the classes, from the values."""
    found = {}
    for threshold in range(256):
        low, high = values[values <= threshold], values[values > threshold]
        if len(low) and len(high):
            found[threshold] = low.var() * len(low) + high.var() * len(high)
    return found


@settings(max_examples=30)
@given(st.lists(st.integers(0, 255), min_size=2, max_size=60).filter(lambda values: len(set(values)) > 1))
def test_otsu_has_the_least_variance_within_classes(values):
    values = np.array(values, np.uint8)
    within = least_variance_within(values.astype(float))
    assert within[otsu_threshold(values)] <= min(within.values()) * (1 + 1e-9) + 1e-9


def mask_of(pixels):
    return tissue_mask(Image.fromarray(pixels))


def test_tissue_is_told_from_glass():
    mask = mask_of(tissue(200, 100, [(20, 20, 120, 80)]))
    assert mask[24:76, 24:116].all()
    assert not mask[:16].any() and not mask[:, 124:].any()


def test_glass_alone_has_no_tissue_and_tissue_alone_is_all_tissue():
    rng = np.random.default_rng(0)
    assert not mask_of((245 + rng.integers(-3, 3, (80, 80, 3))).astype(np.uint8)).any()
    pale_and_dark = tissue(80, 80, [(0, 0, 80, 80)])
    pale_and_dark[:, 40:] = (225, 170, 200)
    assert mask_of(pale_and_dark).mean() > 0.99


def test_shares_are_means_of_the_mask():
    mask = np.random.default_rng(1).random((40, 60)) < 0.4
    squares = np.array([(0, 0), (10, 5), (44, 24)], float)
    expected = [mask[int(y) : int(y) + 16, int(x) : int(x) + 16].mean() for x, y in squares]
    assert np.allclose(tissue_shares(mask, squares, 16), expected)


def test_squares_below_a_pixel_of_the_mask_see_that_pixel():
    mask = np.array([[True, False]])
    assert tissue_shares(mask, np.array([(0.2, 0.1), (1.5, 0.6)]), 0.3).tolist() == [1, 0]
