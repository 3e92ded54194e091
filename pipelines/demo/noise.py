"""Random fields for tissue texture, and random points for cell positions."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.spatial import cKDTree

Field = NDArray[np.float32]

CANDIDATES_PER_DISC = 8  # enough darts to nearly fill a mask


def smooth_noise(rng: np.random.Generator, size_px: int, scale_px: float) -> Field:
    """Gaussian random field with one length scale: zero mean, unit variance, [size, size]."""
    scale_px = min(scale_px, size_px / 5)  # a longer scale would leave no wave in the field
    frequency = _radial_frequency(size_px)
    return _filter_noise(rng, size_px, np.exp(-0.5 * (2 * np.pi * scale_px * frequency) ** 2))


def rough_noise(rng: np.random.Generator, size_px: int, scale_px: float) -> Field:
    """Gaussian random field with detail at every scale below `scale_px`: zero mean, unit variance, [size, size]."""
    frequency = _radial_frequency(size_px)
    return _filter_noise(rng, size_px, (1 + (scale_px * frequency) ** 2) ** -0.8)


def scatter_points(rng: np.random.Generator, mask: NDArray[np.bool_], spacing_px: float) -> NDArray[np.float64]:
    """Points (row, column) inside `mask`, at random but never closer than `spacing_px`: [n, 2]."""
    inside = np.flatnonzero(mask)
    darts = min(len(inside), 1 + int(CANDIDATES_PER_DISC * len(inside) / spacing_px**2))
    sampled = rng.choice(inside, size=darts, replace=False) if darts else inside
    points = np.stack(np.divmod(sampled, mask.shape[1]), axis=1) + rng.uniform(-0.5, 0.5, (len(sampled), 2))
    if not len(points):
        return points
    alive = np.ones(len(points), dtype=bool)
    for index, close in enumerate(cKDTree(points).query_ball_point(points, spacing_px)):
        if alive[index]:
            alive[close] = False
            alive[index] = True
    return points[alive]


def _radial_frequency(size_px: int) -> Field:
    rows, columns = np.fft.fftfreq(size_px), np.fft.rfftfreq(size_px)
    return np.hypot(rows[:, None], columns[None, :]).astype(np.float32)  # [size, size // 2 + 1]


def _filter_noise(rng: np.random.Generator, size_px: int, amplitude: Field) -> Field:
    amplitude[0, 0] = 0  # zero mean
    white = rng.standard_normal((size_px, size_px), dtype=np.float32)
    field = irfft2(rfft2(white) * amplitude, s=(size_px, size_px))
    return (field / field.std()).astype(np.float32)
