"""Distances of real and generated images in feature space: FID (`fid`), KID (`kid`), precision and recall (`prdc`)."""

from components.core.fidelity.fid import frechet_distance
from components.core.fidelity.kid import kernel_distance
from components.core.fidelity.prdc import precision_recall

__all__ = ["frechet_distance", "kernel_distance", "precision_recall"]
