"""What a format of whole slides must offer, and the formats there are: the modules of `slide_formats`."""

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from PIL import Image

from components.tile import slide_formats


class Magnification(NamedTuple):
    """Micrometres per pixel at full resolution (None = unknown) and where that number comes from."""

    mpp: float | None
    stated_by: str


class SlideReader(Protocol):
    """An open slide as a pyramid of levels; any thread may read it.

    It never reads the slide's label and macro image, which may show a name.

    Attributes:
        level_sizes: Width and height of each level, pixels, full resolution first.
        level_downsamples: Pixels at full resolution for each pixel of a level.
        fingerprint: Text that is equal for equal content.
    """

    level_sizes: Sequence[tuple[int, int]]
    level_downsamples: Sequence[float]
    fingerprint: str

    def magnification(self) -> Magnification:
        """The slide's own um/px.

        Raises:
            UnusableImageError: Its pixels are not square.
        """

    def read(self, level: int, left: int, top: int, size_px: tuple[int, int]) -> Image.Image:
        """An RGB rectangle in a level's own pixels; what was not scanned has the colour of glass.

        Raises:
            UnusableImageError: The slide is damaged there.
        """

    def close(self) -> None:
        """Closes the file."""


class SlideFormat(Protocol):
    """A module of `slide_formats`.

    Attributes:
        SUFFIXES: Lower-case suffixes by which files are slides.
    """

    SUFFIXES: frozenset[str]

    def is_slide(self, path: Path) -> bool:
        """Whether this format reads a file."""

    def open_reader(self, path: Path) -> SlideReader:
        """An open slide.

        Raises:
            ConfigError: A package that the format needs is not installed.
            UnusableImageError: The file cannot be read as a slide.
        """


@cache
def all_formats() -> tuple[SlideFormat, ...]:
    """Every format, by name of its module."""
    names = sorted(module.name for module in pkgutil.iter_modules(slide_formats.__path__))
    return tuple(cast(SlideFormat, importlib.import_module(f"{slide_formats.__name__}.{name}")) for name in names)


def slide_suffixes() -> frozenset[str]:
    """Every suffix by which a file is a slide."""
    return frozenset().union(*(slide_format.SUFFIXES for slide_format in all_formats()))


def find_format(path: Path) -> SlideFormat | None:
    """The format of a whole slide; None = the file is not a whole slide."""
    return next((slide_format for slide_format in all_formats() if slide_format.is_slide(path)), None)
