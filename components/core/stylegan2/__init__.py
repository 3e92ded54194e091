"""StyleGAN2: networks, augmentation, snapshots and sampling, compatible with the official release's state dicts."""

from components.core.stylegan2.augment import AugmentPipe
from components.core.stylegan2.discriminator import Discriminator
from components.core.stylegan2.generator import Generator

__all__ = ["AugmentPipe", "Discriminator", "Generator"]
