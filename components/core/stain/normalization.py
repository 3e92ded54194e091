"""Stain: what the arms `stain-norm` and `stain-aug` fit on training patients, and how a fit acts on tiles.

Macenko et al., ISBI 2009, and Reinhard et al., IEEE CG&A 2001, through torchstain's numpy code. Tiles are small, so
stains are never read from one tile: a fit pools pixels of all training tiles, and a tile is normalised together with
the other tiles of its source image.
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
from components.core.errors import ConfigError
from components.core.protocol.study_plan import ARM_SPECS
from components.core.stain.macenko import LIGHT, TISSUE_OD, fit_macenko

MACENKO, REINHARD = "macenko", "reinhard"
NORMALISE, AUGMENT = "normalise", "augment"
STAIN_ARMS = {name: spec.stain for name, spec in ARM_SPECS.items() if spec.stain}

_FIT_PIXELS = 2**19
_CHUNK_PIXELS = 2**21  # pixels normalised at once, bounds the memory: 8 tiles of 512 px


@dataclass(frozen=True)
class Stain:
    """A stain fit, ready to be stored.

    Attributes:
        use: "normalise": tiles take the fitted stain, at training and at test time. "augment": training tiles are
            varied along the fitted stains, test tiles stay as they are.
        method: "macenko" or "reinhard".
        parameters: macenko: `vectors` [3][2] (haematoxylin, eosin), `strengths` [2] (99th percentile of
            concentrations). reinhard: `means` [3], `deviations` [3] in Lab.
        note: What a reader must know, for example why Macenko could not be fitted.
    """

    use: str
    method: str
    parameters: dict[str, list[Any]]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


def check_method(method: str) -> None:
    """Refuses what is no way to normalise stain."""
    if method not in (MACENKO, REINHARD):
        raise ConfigError(f"There is no stain method {method!r}: use {MACENKO} or {REINHARD}.")


def fit_stain(tiles: torch.Tensor, use: str, seed: int, method: str = MACENKO) -> Stain:
    """Fits a stain on pooled pixels of training tiles.

    Where they hold no two stains, normalisation falls back to Reinhard's Lab statistics and augmentation to
    Macenko's published vectors; the note says so.

    Args:
        tiles: Training tiles [N, 3, H, W] uint8.
        use: "normalise" or "augment".
        seed: Of the pixels that are drawn where there are more than half a million.
        method: "macenko", or "reinhard" to normalise by; stains are varied along Macenko's vectors in any case.
    """
    pixels = tiles.permute(0, 2, 3, 1).reshape(-1, 3).numpy()  # [P, 3]
    if len(pixels) > _FIT_PIXELS:
        pixels = pixels[np.sort(np.random.default_rng(seed).choice(len(pixels), _FIT_PIXELS, replace=False))]
    image = pixels[None]  # [1, P, 3]: torchstain reads images
    if use == NORMALISE and method == REINHARD:
        return Stain(use, REINHARD, _lab_statistics(image))
    macenko = fit_macenko(image)
    if macenko is not None:
        return Stain(use, MACENKO, _parameters(macenko))
    if use == AUGMENT:
        return Stain(use, MACENKO, _parameters(NumpyMacenkoNormalizer()), "no two stains found: published vectors used")
    note = "no two stains found: Reinhard's Lab statistics used instead of Macenko's"
    return Stain(use, REINHARD, _lab_statistics(image), note)


def normalise(stain: Stain, tiles: torch.Tensor, sources: Sequence[str]) -> tuple[torch.Tensor, int]:
    """Gives tiles the fitted stain; those whose source image shows too little tissue stay as they are.

    Args:
        stain: A fit with use "normalise".
        tiles: [N, 3, H, W] uint8.
        sources: Source image of each tile; its tiles are read together.

    Returns:
        Tiles of the same shape, and how many stayed as they were.
    """
    result, untouched = tiles.clone(), 0
    for places in _chunks(sources, max(1, _CHUNK_PIXELS // max(1, tiles[0, 0].numel())) if len(tiles) else 1):
        group = tiles[places].permute(0, 2, 3, 1)  # [n, H, W, 3]
        image = group.reshape(-1, group.shape[2], 3).numpy()  # [n H, W, 3]
        changed = _normalised(stain, image)
        if changed is None:
            untouched += len(places)
        else:
            result[places] = torch.from_numpy(changed.reshape(group.shape)).permute(0, 3, 1, 2)
    return result, untouched


def vary(stain: Stain, tiles: torch.Tensor, draws: torch.Tensor, spread: float = 0.2) -> torch.Tensor:
    """Varies each tile's stain concentrations: factor in 1 ± spread, offset in ± spread / 2 of the stain's strength.

    What the two stains do not explain of a pixel's optical density is kept, and background is not stained. torchstain's
    own augmentor draws from numpy's global generator and reads the stains of each tile anew, so it is not used.

    Args:
        stain: A fit with use "augment".
        tiles: [N, 3, H, W] float, 0..255.
        draws: [N, 4] uniform in 0..1: factors of both stains, offsets of both.
        spread: Largest relative change.
    """
    vectors = torch.tensor(stain.parameters["vectors"], dtype=tiles.dtype, device=tiles.device)  # [3, 2]
    strengths = torch.tensor(stain.parameters["strengths"], dtype=tiles.dtype, device=tiles.device)  # [2]
    density = -torch.log((tiles.flatten(2) + 1) / LIGHT)  # [N, 3, HW]
    concentrations = torch.linalg.pinv(vectors) @ density  # [N, 2, HW]
    change = (2 * draws - 1) * spread  # [N, 4]
    offset = (change[:, 2:] * strengths / 2)[..., None]
    stained = (density > TISSUE_OD).all(dim=1, keepdim=True)  # [N, 1, HW]
    moved = vectors @ ((change[:, :2, None] * concentrations + offset) * stained)  # [N, 3, HW]
    return (LIGHT * torch.exp(-(density + moved)) - 1).reshape(tiles.shape).clamp(0, 255)


def _parameters(macenko: NumpyMacenkoNormalizer) -> dict[str, list[Any]]:
    return {"vectors": macenko.HERef.tolist(), "strengths": macenko.maxCRef.tolist()}


def _lab_statistics(image: Pixels) -> dict[str, list[Any]]:
    reinhard = NumpyReinhardNormalizer()
    reinhard.fit(image)
    return {"means": reinhard.target_means.tolist(), "deviations": reinhard.target_stds.tolist()}


def _normalised(stain: Stain, image: Pixels) -> Pixels | None:
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
    """Places of each source's tiles, in order, in nearly equal parts of at most `most`."""
    names = np.asarray(sources, dtype=object)
    for name in sorted(set(sources)):
        places = np.flatnonzero(names == name)
        yield from np.array_split(places, -(-len(places) // most))
