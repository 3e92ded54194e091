"""StyleGAN2: networks, augmentation, snapshots and sampling, compatible with the official release's state dicts."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.core.stylegan2.augment.pipe import AugmentPipe
    from components.core.stylegan2.discriminator import Discriminator
    from components.core.stylegan2.generator import Generator

__all__ = ["AugmentPipe", "Discriminator", "Generator"]

_PUBLIC = {"AugmentPipe": "augment.pipe", "Discriminator": "discriminator", "Generator": "generator"}


def __getattr__(name: str) -> Any:
    """The networks, imported at first use: this package alone, and its presets, load no torch."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
