"""Nuclei: wobbly ellipses of haematoxylin with a membrane, chromatin, nucleoli and grooves, rendered all at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipelines.demo.noise import Field


@dataclass(frozen=True)
class Nuclei:
    """A population of n nuclei; every array is [n] unless stated.

    Attributes:
        centres: Row and column, pixels, [n, 2].
        radius: Geometric mean of the half axes, pixels.
        aspect: Long axis over short axis, at least 1.
        angle: Direction of the long axis from the columns towards the rows, radians.
        clearing: Share of the chromatin that is missing inside the membrane, 0..1.
        strength: Amount of haematoxylin where the chromatin is whole.
    """

    centres: NDArray[np.float64]
    radius: NDArray[np.float64]
    aspect: NDArray[np.float64]
    angle: NDArray[np.float64]
    clearing: NDArray[np.float64]
    strength: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.centres)


def render_nuclei(rng: np.random.Generator, nuclei: Nuclei, chromatin: Field, mpp: float) -> tuple[Field, Field]:
    """Haematoxylin of the nuclei and how far they cover each pixel (0..1), both [size, size].

    Where nuclei overlap their dye adds up, as light passes through both.

    Args:
        rng: Source of outlines, nucleoli and focus.
        nuclei: Nuclei with centres inside the field.
        chromatin: Noise field [size, size], the source of the texture of the nuclei.
        mpp: Micrometres per pixel.
    """
    size_px = len(chromatin)
    if not len(nuclei):
        return np.zeros_like(chromatin), np.zeros_like(chromatin)
    reach = int(np.ceil(1.25 * (nuclei.radius * np.sqrt(nuclei.aspect)).max() + 1.0 / mpp))
    steps = np.arange(-reach, reach + 1)
    whole = np.rint(nuclei.centres).astype(int)
    rows = whole[:, :1] + steps  # [n, P]
    columns = whole[:, 1:] + steps
    dy = (rows - nuclei.centres[:, :1]).astype(np.float32)[:, :, None]  # [n, P, 1]
    dx = (columns - nuclei.centres[:, 1:]).astype(np.float32)[:, None, :]  # [n, 1, P]

    def each(values: NDArray[np.float64]) -> Field:
        return values.astype(np.float32)[:, None, None]

    def draw(low: float, high: float) -> Field:
        return each(rng.uniform(low, high, len(nuclei)))

    # Coordinates in which the nucleus is the unit disc, its long axis along `u`.
    cosine, sine = each(np.cos(nuclei.angle)), each(np.sin(nuclei.angle))
    stretch = each(np.sqrt(nuclei.aspect))
    radius = each(nuclei.radius)
    u = (cosine * dx + sine * dy) / (radius * stretch)  # [n, P, P]
    v = (cosine * dy - sine * dx) * stretch / radius
    theta = np.arctan2(v, u)
    outline = np.ones_like(theta)
    for lobes, amplitude in ((2, 0.06), (3, 0.06), (5, 0.03)):
        outline += draw(0, amplitude) * np.cos(lobes * theta + draw(0, 2 * np.pi))
    rho = np.hypot(u, v) / outline  # 0 in the centre, 1 on the membrane

    edge_px = draw(0.18, 0.45) / mpp  # a thick section: not every nucleus is in focus
    inside = expit((1 - rho) * radius / edge_px)
    clearing = each(nuclei.clearing)
    ground_glass = expit((0.82 - rho) * 14)
    membrane = np.exp(-(((rho - 0.90) / 0.11) ** 2))
    offset = rng.integers(0, size_px, (2, len(nuclei), 1))
    texture = chromatin[((rows + offset[0]) % size_px)[:, :, None], ((columns + offset[1]) % size_px)[:, None, :]]
    body = 1 - clearing * ground_glass + (0.20 - 0.08 * clearing) * texture + (0.05 + 0.13 * clearing) * membrane
    # One small nucleolus; in cleared nuclei it lies at the membrane and a groove may run along the long axis.
    away, towards = draw(0.0, 0.35) + 0.3 * clearing, draw(0, 2 * np.pi)
    nucleolus = np.exp(-((u - away * np.cos(towards)) ** 2 + (v - away * np.sin(towards)) ** 2) / 0.025)
    groove = np.exp(-(((v - draw(-0.25, 0.25) * (1 - u**2)) / 0.09) ** 2)) * (draw(0, 1) < clearing)
    body += draw(0, 0.45) * nucleolus + 0.28 * groove * expit((0.8 - rho) * 12)
    dye = each(nuclei.strength) * inside * np.maximum(body, 0.05)

    # The canvas has a border of `reach`, so that no stamp has to be cut.
    wide = size_px + 2 * reach
    places = ((rows + reach)[:, :, None] * wide + (columns + reach)[:, None, :]).ravel()

    def sum_stamps(values: Field) -> Field:
        canvas = np.bincount(places, weights=values.ravel(), minlength=wide * wide).reshape(wide, wide)
        return canvas[reach:-reach, reach:-reach].astype(np.float32)

    return sum_stamps(dye), np.minimum(sum_stamps(inside), 1)
