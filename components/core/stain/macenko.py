"""The two stains of H&E in pixels: Macenko et al., ISBI 2009, through torchstain's numpy code; needs no torch."""

import numpy as np
import numpy.typing as npt
from torchstain.numpy.normalizers.macenko import NumpyMacenkoNormalizer

from components.core.data.images import Pixels

LIGHT, TISSUE_OD = 240.0, 0.15  # Macenko's Io, and beta: below it a pixel is background
_FEWEST_TISSUE_PIXELS = 256


def optical_density(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Natural-logarithm optical density of each channel, any shape; 0 = as bright as LIGHT."""
    return -np.log((pixels.astype(float) + 1) / LIGHT)


def fit_macenko(image: Pixels) -> NumpyMacenkoNormalizer | None:
    """Macenko's fit of an image [H, W, 3]: `HERef` [3, 2], `maxCRef` [2]; None where it shows no two stains."""
    density = optical_density(image.reshape(-1, 3))
    tissue = density[(density >= TISSUE_OD).all(axis=1)]
    if len(tissue) < _FEWEST_TISSUE_PIXELS or np.linalg.matrix_rank(np.cov(tissue.T), tol=1e-6) < 2:
        return None
    fitted = NumpyMacenkoNormalizer()
    fitted.fit(image)
    sound = np.isfinite(fitted.HERef).all() and (fitted.maxCRef > 0).all()
    return fitted if sound and np.linalg.cond(fitted.HERef) < 100 else None
