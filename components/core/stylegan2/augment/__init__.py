"""Augmentation that does not leak into what the generator learns (ADA; Karras et al. 2020b, arXiv 2006.06676)."""
