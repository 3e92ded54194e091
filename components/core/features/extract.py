"""Features of a stream of images, batch by batch."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from components.core.features.extractors import Extractor
from components.core.runtime.progress import track

Pixels = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


def features_of(
    extractor: Extractor, images: Iterable[Pixels], batch: int, what: str, total: int | None = None
) -> Features:
    """Features [n, dim] of images [H, W, 3], in order; only one batch of images is in memory at a time.

    Args:
        extractor: Feature network, from `load_extractor`.
        images: uint8 images, all of one size.
        batch: Images per pass.
        what: Short name of the work for the progress, for example "features of held-out tiles".
        total: Number of images; None = unknown.
    """
    parts = [np.empty((0, extractor.dim), np.float32)]
    for stack in to_batches(track(images, what, total, "images"), batch):
        parts.append(extractor(stack).cpu().numpy())
    return np.concatenate(parts)  # [n, dim]


def to_batches(images: Iterable[Pixels], batch: int) -> Iterator[Tensor]:
    """uint8 tensors [N, 3, H, W], N <= batch, of images [H, W, 3]."""
    stream = iter(images)
    while part := list(islice(stream, batch)):
        yield torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2)


def unit_features(features: Features) -> Features:
    """Feature vectors [n, dim] scaled to length 1."""
    lengths: Features = np.linalg.norm(features, axis=1, keepdims=True)
    return features / lengths.clip(min=1e-12)
