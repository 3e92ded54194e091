"""Tissue architecture: follicles around colloid, papillae around fibrovascular cores, and the stroma between.

Everything follows from one field, the depth in micrometres from the basement membrane: negative in the stroma, then
an epithelium of one cell's height, then the lumen.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from pipelines.demo.noise import Field, scatter_points, smooth_noise


def follicles(rng: np.random.Generator, size_px: int, mpp: float, radius_um: float) -> Field:
    """Depth of round to oval follicles of about `radius_um`, packed as the stroma lets them: [size, size]."""
    margin_px = int(2 * radius_um / mpp)
    roomy = np.ones((size_px + 2 * margin_px,) * 2, dtype=bool)
    centres = (scatter_points(rng, roomy, 1.45 * radius_um / mpp) - margin_px) * mpp
    warp = 0.16 * radius_um * np.stack([smooth_noise(rng, size_px, 0.45 * radius_um / mpp) for _ in range(2)])
    rows, columns = np.mgrid[:size_px, :size_px].astype(np.float32) * np.float32(mpp) + warp

    # How far a follicle reaches beyond each pixel: the largest and the second largest of all follicles.
    first = np.full((size_px, size_px), -4 * radius_um, dtype=np.float32)
    second = first.copy()
    near_px = 3.2 * radius_um / mpp
    for row, column in centres:
        window = _window(row / mpp, near_px, size_px), _window(column / mpp, near_px, size_px)
        size_um = np.float32(radius_um * rng.lognormal(0, 0.15))
        stretch = np.float32(rng.uniform(1.0, 1.3))
        angle = rng.uniform(0, np.pi)
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        dy, dx = rows[window] - np.float32(row), columns[window] - np.float32(column)
        reached = size_um - np.hypot((cosine * dx + sine * dy) / stretch, cosine * dy - sine * dx)
        second[window] = np.maximum(second[window], np.minimum(first[window], reached))
        first[window] = np.maximum(first[window], reached)
    septum_um = 0.7 + 2.2 * np.maximum(smooth_noise(rng, size_px, 16 / mpp) - 0.2, 0)
    depth_um = _smooth_minimum(first + 0.30 * radius_um, (first - second) / 2 - septum_um, 0.35 * radius_um)
    return gaussian_filter(depth_um, 1.2 / mpp)


def papillae(rng: np.random.Generator, size_px: int, mpp: float, spacing_um: float) -> Field:
    """Depth around branching fibrovascular cores that lie about `spacing_um` apart in open space: [size, size]."""
    winding = smooth_noise(rng, size_px, 0.34 * spacing_um / mpp)
    slope = np.hypot(*np.gradient(winding, mpp)) + 1e-3
    width_um = 2.6 + 1.4 * smooth_noise(rng, size_px, 10 / mpp)
    ends = smooth_noise(rng, size_px, 0.3 * spacing_um / mpp) < 1.1  # a papilla comes to an end
    core = (np.abs(winding) / slope < np.maximum(width_um, 0.8)) & ends
    if not core.any():
        core[size_px // 2, :] = True
    outside = distance_transform_edt(~core)
    inside = distance_transform_edt(core)
    depth = mpp * (outside - inside).astype(np.float32)
    return depth + 0.5 * smooth_noise(rng, size_px, 3 / mpp)


def fibres(rng: np.random.Generator, depth_um: Field, mpp: float) -> Field:
    """Texture of wavy collagen that runs along the basement membranes: about -1..1, [size, size]."""
    size_px = len(depth_um)
    along = depth_um + 5.0 * smooth_noise(rng, size_px, 14 / mpp) + 0.5 * smooth_noise(rng, size_px, 2 / mpp)
    strands = np.interp(along.ravel() % 128, np.arange(129), rng.standard_normal(129))
    return np.tanh(0.7 * strands.reshape(along.shape)).astype(np.float32)


def _smooth_minimum(a: Field, b: Field, width: float) -> Field:
    """The smaller of two fields without a crease where they cross."""
    mix = np.clip(0.5 + 0.5 * (b - a) / width, 0, 1)
    return (b + (a - b) * mix - width * mix * (1 - mix)).astype(np.float32)


def _window(centre_px: float, reach_px: float, size_px: int) -> slice:
    return slice(max(0, int(centre_px - reach_px)), min(size_px, max(0, int(centre_px + reach_px))))
