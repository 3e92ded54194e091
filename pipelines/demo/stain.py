"""Stain and scanner of a hospital: amounts of two dyes to pixels.

Beer-Lambert: a pixel is white * exp(-(h * H + e * E)), with h and e the amounts of haematoxylin and eosin and H and E
the hospital's unit vectors of optical density in red, green and blue.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipelines.demo.noise import Field


@dataclass(frozen=True)
class Hospital:
    """One laboratory and its scanner.

    Attributes:
        site: Name of the site, also of its folder.
        hematoxylin: Optical density of haematoxylin in R, G, B.
        eosin: Optical density of eosin in R, G, B.
        hematoxylin_strength: Factor on the amount of haematoxylin.
        eosin_strength: Factor on the amount of eosin.
        white: Empty glass, R, G, B, 0..255: lamp and white balance.
        blur_um: Standard deviation of the optical blur.
        noise: Standard deviation of the sensor noise, 0..255.
    """

    site: str
    hematoxylin: tuple[float, float, float]
    eosin: tuple[float, float, float]
    hematoxylin_strength: float
    eosin_strength: float
    white: tuple[float, float, float]
    blur_um: float
    noise: float

    @property
    def stain_vectors(self) -> NDArray[np.float64]:
        """Unit vectors of haematoxylin and eosin: [2, 3]."""
        vectors = np.array([self.hematoxylin, self.eosin])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


HOSPITAL_A = Hospital(
    site="hospital-a",
    hematoxylin=(0.61, 0.71, 0.35),
    eosin=(0.10, 0.88, 0.42),
    hematoxylin_strength=1.0,
    eosin_strength=1.0,
    white=(245.0, 243.0, 244.0),
    blur_um=0.30,
    noise=1.5,
)
HOSPITAL_B = Hospital(
    site="hospital-b",
    hematoxylin=(0.52, 0.80, 0.30),
    eosin=(0.12, 0.97, 0.20),
    hematoxylin_strength=0.9,
    eosin_strength=1.35,
    white=(229.0, 223.0, 234.0),
    blur_um=0.55,
    noise=3.0,
)
HOSPITALS = (HOSPITAL_A, HOSPITAL_B)


def photograph(
    rng: np.random.Generator, hospital: Hospital, hematoxylin: Field, eosin: Field, mpp: float
) -> NDArray[np.uint8]:
    """Amounts of the two dyes, [H, W] each, as pixels of the hospital's scanner: [H, W, 3]."""
    amounts = np.stack([hematoxylin * hospital.hematoxylin_strength, eosin * hospital.eosin_strength], axis=-1)
    density = amounts @ hospital.stain_vectors.astype(np.float32)  # [H, W, 3]
    light = np.array(hospital.white, dtype=np.float32) * np.exp(-density)
    light = gaussian_filter(light, sigma=(hospital.blur_um / mpp, hospital.blur_um / mpp, 0))
    light += hospital.noise * rng.standard_normal(light.shape, dtype=np.float32)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)
