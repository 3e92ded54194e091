"""Whole slides through OpenSlide: their um/px, an overview, a tile at any um/px."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from components.core.data.archive import Pixels
from components.core.errors import ConfigError, one_line
from components.core.io.atomic_files import file_sha256
from components.tile.coords import LANCZOS
from components.tile.images import UnusableImageError
from components.tile.sites import METADATA, um_per_px

SLIDES = frozenset({".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".svslide"})
TIFFS = frozenset({".tif", ".tiff"})
UM_PX_OF_1X = 10.0  # a 40x objective gives 0.25 um/px, by convention of the scanners
_FIELD_PX = 8192  # a TIFF of a larger side is a slide, pyramid or not
_BLOCK_PX = 4096


class Magnification(NamedTuple):
    """Micrometres per pixel at full resolution (None = unknown) and where that stands."""

    mpp: float | None
    stated_by: str


def is_slide(path: Path) -> bool:
    """Whether a file is a whole slide: by its name, or a TIFF with a pyramid or larger than any field."""
    suffix = path.suffix.lower()
    if suffix not in TIFFS:
        return suffix in SLIDES
    try:
        openslide = _openslide()
    except ConfigError:
        return False
    if openslide.OpenSlide.detect_format(path) is None:
        return False
    with _explained(), openslide.OpenSlide(path) as slide:
        return slide.level_count > 1 or max(slide.dimensions) > _FIELD_PX


class Slide:
    """An open slide; any thread may read it. Its label and macro image, which may show a name, are never read.

    Attributes:
        size_px: Width and height at full resolution.
        fingerprint: OpenSlide's hash of its content, or the file's where it has none.
    """

    def __init__(self, path: Path) -> None:
        with _explained():
            self._slide = _openslide().OpenSlide(path)
        properties = self._slide.properties
        self.size_px: tuple[int, int] = self._slide.dimensions
        self.fingerprint: str = properties.get("openslide.quickhash-1") or file_sha256(path)
        self._glass = f"#{properties.get('openslide.background-color', 'FFFFFF')}"

    def magnification(self) -> Magnification:
        """From the metadata: um/px, or else by the objective's power.

        Raises:
            OddImageError: Its pixels are not square.
        """
        properties = self._slide.properties
        across, down = (um_per_px(properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
        if not (math.isnan(across) or math.isnan(down)):
            if abs(across - down) > 0.02 * across:
                raise UnusableImageError(f"has pixels of {across:g} x {down:g} um, which are not square")
            return Magnification((across + down) / 2, METADATA)
        power = properties.get("openslide.objective-power")
        by_power = um_per_px(UM_PX_OF_1X / float(power)) if power and power.replace(".", "").isdigit() else math.nan
        return Magnification(None, "") if math.isnan(by_power) else Magnification(by_power, f"objective {power}x")

    def overview(self, side_px: int) -> Image.Image:
        """The whole slide, the longer side at most `side_px`, averaged block by block in constant memory."""
        level = self._slide.get_best_level_for_downsample(max(self.size_px) / side_px)
        width, height = self._slide.level_dimensions[level]
        factor = math.ceil(max(width, height) / side_px)
        block = max(1, _BLOCK_PX // factor) * factor
        whole = Image.new("RGB", (math.ceil(width / factor), math.ceil(height / factor)))
        for top in range(0, height, block):
            for left in range(0, width, block):
                size = min(block, width - left), min(block, height - top)
                whole.paste(self._read(level, left, top, size).reduce(factor), (left // factor, top // factor))
        return whole

    def region(self, x: float, y: float, size_px: tuple[float, float], out_px: tuple[int, int]) -> Pixels:
        """A rectangle, resampled (Lanczos) from the pyramid's next finer level.

        Args:
            x: Left edge at full resolution.
            y: Top edge.
            size_px: Its size at full resolution.
            out_px: Size to return.

        Returns:
            [H, W, 3].
        """
        level = self._slide.get_best_level_for_downsample(min(size_px[0] / out_px[0], size_px[1] / out_px[1]))
        fine = self._slide.level_downsamples[level]
        left, top, right, bottom = x / fine, y / fine, (x + size_px[0]) / fine, (y + size_px[1]) / fine
        column, row = math.floor(left), math.floor(top)
        found = self._read(level, column, row, (math.ceil(right) - column, math.ceil(bottom) - row))
        box = (left - column, top - row, right - column, bottom - row)
        return np.asarray(found.resize(out_px, LANCZOS, box=box) if found.size != out_px else found)

    def close(self) -> None:
        """Closes the file."""
        self._slide.close()

    def _read(self, level: int, left: int, top: int, size: tuple[int, int]) -> Image.Image:
        """A rectangle in a level's own pixels; what was not scanned has the colour of glass."""
        fine = self._slide.level_downsamples[level]
        with _explained():
            found = self._slide.read_region((round(left * fine), round(top * fine)), level, size)
        on_glass = Image.new("RGB", size, self._glass)
        on_glass.paste(found, mask=found.getchannel("A"))
        return on_glass


@contextmanager
def _explained() -> Iterator[None]:
    openslide = _openslide()
    try:
        yield
    except (openslide.OpenSlideError, OSError) as error:
        raise UnusableImageError(f"cannot be read as a slide ({one_line(error)})") from None


def _openslide() -> Any:
    try:
        import openslide
    except ImportError:
        raise ConfigError(
            "Whole slides need the packages openslide-python and openslide-bin: install thygan[tile]."
        ) from None
    return openslide
