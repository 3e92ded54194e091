"""Stain fits of the arms `stain-norm` and `stain-aug`, and stain normalisation of tiles by such a fit.

Macenko et al., ISBI 2009, and Reinhard et al., IEEE CG&A 2001, through torchstain's numpy code. Tiles are small, so
stains are never estimated from one tile: a fit pools pixels of all training tiles, and a tile is normalised together
with the other tiles of its source image.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torchstain.numpy.normalizers.macenko import NumpyMacenkoNormalizer
from torchstain.numpy.normalizers.reinhard import NumpyReinhardNormalizer

from components.core.data.images import Pixels
from components.core.protocol.study_plan import ARM_SPECS
from components.core.stain.macenko import fit_macenko

MACENKO, REINHARD = "macenko", "reinhard"
NORMALISE, AUGMENT = "normalise", "augment"
STAIN_ARMS = {name: spec.stain for name, spec in ARM_SPECS.items() if spec.stain}

_FIT_PIXELS = 2**19
_CHUNK_PIXELS = 2**21  # pixels normalised at once, bounds the memory: 8 tiles of 512 px


@dataclass(frozen=True)
class StainFit:
    """A stain fit, ready to be stored.

    Attributes:
        use: "normalise": tiles are given the fitted stain, at training and at test time. "augment": training tiles are
            perturbed along the fitted stains, test tiles stay as they are.
        method: "macenko" or "reinhard".
        parameters: macenko: `vectors` [3][2] (haematoxylin, eosin), `strengths` [2] (99th percentile of
            concentrations). reinhard: `means` [3], `deviations` [3] in Lab.
        note: Remark for readers, for example why Macenko's fit failed; '' = none.
    """

    use: str
    method: str
    parameters: dict[str, list[Any]]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values of the fit."""
        return asdict(self)


def fit_stain(tiles: torch.Tensor, use: str, seed: int, method: str = MACENKO) -> StainFit:
    """Fits a stain on pooled pixels of training tiles.

    Where they show no two stains, normalisation falls back to Reinhard's Lab statistics and augmentation to Macenko's
    published vectors; the note says so.

    Args:
        tiles: Training tiles [N, 3, H, W] uint8.
        use: "normalise" or "augment".
        seed: Seed of the sample of pixels, where there are more than half a million.
        method: Method of normalisation, "macenko" or "reinhard"; augmentation always fits Macenko's vectors.
    """
    pixels = tiles.permute(0, 2, 3, 1).reshape(-1, 3).numpy()  # [P, 3]
    if len(pixels) > _FIT_PIXELS:
        pixels = pixels[np.sort(np.random.default_rng(seed).choice(len(pixels), _FIT_PIXELS, replace=False))]
    image = pixels[None]  # [1, P, 3]: torchstain reads images
    if use == NORMALISE and method == REINHARD:
        return StainFit(use, REINHARD, _lab_statistics(image))
    macenko = fit_macenko(image)
    if macenko is not None:
        return StainFit(use, MACENKO, _parameters(macenko))
    if use == AUGMENT:
        note = "no two stains found: published vectors used"
        return StainFit(use, MACENKO, _parameters(NumpyMacenkoNormalizer()), note)
    note = "no two stains found: Reinhard's Lab statistics used instead of Macenko's"
    return StainFit(use, REINHARD, _lab_statistics(image), note)


def normalise(stain: StainFit, tiles: torch.Tensor, sources: Sequence[str]) -> tuple[torch.Tensor, int]:
    """Gives tiles the fitted stain; those whose source image shows too little tissue stay as they are.

    Args:
        stain: A fit with use "normalise".
        tiles: Tiles [N, 3, H, W] uint8.
        sources: Source image of each tile; the tiles of one image are normalised together.

    Returns:
        Tiles of the same shape, and the number of those that stayed as they were.
    """
    result, untouched = tiles.clone(), 0
    for rows in _chunks(sources, max(1, _CHUNK_PIXELS // max(1, tiles[0, 0].numel())) if len(tiles) else 1):
        group = tiles[rows].permute(0, 2, 3, 1)  # [n, H, W, 3]
        image = group.reshape(-1, group.shape[2], 3).numpy()  # [n H, W, 3]
        changed = _transform(stain, image)
        if changed is None:
            untouched += len(rows)
        else:
            result[rows] = torch.from_numpy(changed.reshape(group.shape)).permute(0, 3, 1, 2)
    return result, untouched


def _parameters(macenko: NumpyMacenkoNormalizer) -> dict[str, list[Any]]:
    return {"vectors": macenko.HERef.tolist(), "strengths": macenko.maxCRef.tolist()}


def _lab_statistics(image: Pixels) -> dict[str, list[Any]]:
    reinhard = NumpyReinhardNormalizer()
    reinhard.fit(image)
    return {"means": reinhard.target_means.tolist(), "deviations": reinhard.target_stds.tolist()}


def _transform(stain: StainFit, image: Pixels) -> Pixels | None:
    parameters = {name: np.array(value) for name, value in stain.parameters.items()}
    if stain.method == REINHARD:
        reinhard = NumpyReinhardNormalizer()
        reinhard.target_means, reinhard.target_stds = parameters["means"], parameters["deviations"]
        return reinhard.normalize(image) if image.reshape(-1, 3).std(axis=0).all() else None
    if fit_macenko(image) is None:
        return None
    macenko = NumpyMacenkoNormalizer()
    macenko.HERef, macenko.maxCRef = parameters["vectors"], parameters["strengths"]
    return macenko.normalize(image, stains=False)[0]


def _chunks(sources: Sequence[str], most: int) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of each source's tiles, in order, in nearly equal parts of at most `most`."""
    names = np.asarray(sources, dtype=object)
    for name in sorted(set(sources)):
        rows = np.flatnonzero(names == name)
        yield from np.array_split(rows, -(-len(rows) // most))
