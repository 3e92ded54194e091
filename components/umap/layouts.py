"""UMAP (McInnes, Healy and Melville 2018) of the tiles' features, reproducible by its seed."""

import numpy as np
import numpy.typing as npt

from components.core.runtime.threads import cpu_threads

_Array = npt.NDArray[np.float32]

# Below this many tiles a neighbourhood graph says nothing; the map then shows the first principal components.
FEWEST = 10


def project(
    fitted: _Array, others: _Array, components: int, neighbors: int, min_dist: float, seed: int
) -> tuple[_Array, _Array]:
    """Fits UMAP on some tiles, and projects others on the same map.

    Args:
        fitted: Features [n, d].
        others: Features [m, d]; m may be 0.
        components: Dimensions of the map.
        neighbors: Size of a neighbourhood; lowered where there are fewer tiles.
        min_dist: Least distance of two points on the map.
        seed: Seed of the random draws.

    Returns:
        Coordinates [n, components] and [m, components].
    """
    if len(fitted) < FEWEST:
        return _principal_components(fitted, others, components)
    from umap import UMAP  # compiles for half a minute on its first import

    size = min(neighbors, len(fitted) - 1)
    umap = UMAP(
        n_components=components,
        n_neighbors=size,
        min_dist=min_dist,
        init="pca",
        random_state=seed,
        transform_seed=seed,
        n_jobs=1,
    )
    with cpu_threads():  # Numba, when it first runs in parallel, sets OpenMP's number, which is PyTorch's
        coordinates = umap.fit_transform(fitted)
        return coordinates, umap.transform(others) if len(others) else others[:, :components]


def _principal_components(fitted: _Array, others: _Array, components: int) -> tuple[_Array, _Array]:
    centre = fitted.mean(axis=0)
    axes = np.linalg.svd(fitted - centre, full_matrices=False)[2][:components]
    axes = np.pad(axes, ((0, components - len(axes)), (0, 0)))
    return (fitted - centre) @ axes.T, (others - centre) @ axes.T
