"""Fréchet distance between Gaussians fitted to two sets of features, exact for rank-deficient covariances."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from components.core.errors import DataError

Features = npt.NDArray[np.floating[Any]]
_CHUNK = 4096


def frechet_distance(features_a: Features, features_b: Features) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), Heusel et al. 2017, equation 6; covariances divided by n.

    With C = F F^T, the trace of the root is the sum of the singular values of F_a^T F_b. A set of n <= d samples has
    the centred samples as F, so its covariance is never formed; two full-rank covariances need the eigenvalues of
    one symmetric matrix. No root of a singular, non-symmetric product is taken, where `sqrtm` loses four digits.

    Args:
        features_a: Features of one set, [n, d].
        features_b: Features of the other, [m, d].

    Returns:
        The distance, >= 0.

    Raises:
        DataError: Sets of different dimension, fewer than two samples, or values that are not finite.
    """
    check_features(features_a, features_b)
    offset = features_a.mean(axis=0, dtype=np.float64) - features_b.mean(axis=0, dtype=np.float64)  # [d]
    factor_a, trace_a, full_a = _factor(features_a)
    factor_b, trace_b, full_b = _factor(features_b)
    cross = factor_a.T @ factor_b  # [r_a, r_b]
    if full_a and full_b:
        squares = scipy.linalg.eigvalsh(cross @ cross.T, overwrite_a=True, check_finite=False)
        root_trace = np.sqrt(squares.clip(min=0)).sum()
    else:
        root_trace = scipy.linalg.svdvals(cross, overwrite_a=True, check_finite=False).sum()
    return float(max(offset @ offset + trace_a + trace_b - 2 * root_trace, 0))


def check_features(*sets: Features, least: int = 2) -> None:
    """Checks that sets of features are comparable.

    Args:
        sets: Features, each [n, d] with the same d.
        least: Least number of samples in a set.

    Raises:
        DataError: Other shapes, fewer samples, or values that are not finite.
    """
    for features in sets:
        if features.ndim != 2 or features.shape[1] != sets[0].shape[1]:
            shapes = " and ".join(str(one.shape) for one in sets)
            raise DataError(f"Features must be [n, d] with the same d in every set; their shapes are {shapes}.")
        if len(features) < least:
            raise DataError(f"A set has {len(features)} feature vectors: give at least {least}.")
        if not np.isfinite(features).all():
            raise DataError("Features contain NaN or infinity: check the images and the extractor.")


def _factor(features: Features) -> tuple[npt.NDArray[np.float64], float, bool]:
    """F with F F^T = covariance, the covariance's trace, and whether F is a well-conditioned triangle."""
    n, d = features.shape
    mean = features.mean(axis=0, dtype=np.float64)
    if n <= d:
        centred = (features - mean) / np.sqrt(n)  # [n, d]
        return centred.T, float((centred**2).sum()), False
    covariance = np.zeros((d, d))
    for start in range(0, n, _CHUNK):
        centred = features[start : start + _CHUNK] - mean
        covariance += centred.T @ centred
    covariance /= n
    trace = float(np.trace(covariance))
    try:
        triangle = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
        pivots = np.diagonal(triangle) ** 2
        if pivots.min() > 1e-10 * pivots.max():
            return triangle, trace, True
    except scipy.linalg.LinAlgError:
        pass  # singular: the eigenvectors of its range are the factor
    values, vectors = scipy.linalg.eigh(covariance, overwrite_a=True, check_finite=False)
    in_range = values > values[-1] * d * np.finfo(float).eps
    return vectors[:, in_range] * np.sqrt(values[in_range]), trace, False
