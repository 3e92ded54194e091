"""Augmentation that does not leak into what the generator learns (ADA; Karras et al. 2020b, arXiv 2006.06676)."""

from components.core.stylegan2.augment.pipe import Augmentation, AugmentPipe

__all__ = ["AugmentPipe", "Augmentation"]
