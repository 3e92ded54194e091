"""The scanners' formats that OpenSlide reads, pyramidal TIFF among them."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from components.core.errors import ConfigError, one_line
from components.core.io.atomic_files import file_sha256
from components.tile.images import UnusableImageError
from components.tile.sites import METADATA, parse_um_per_px
from components.tile.slide_reader import Magnification

SUFFIXES = frozenset({".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".svslide"})
UM_PX_OF_1X = 10.0  # a 40x objective gives 0.25 um/px, by convention of the scanners
_TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
_MAX_FIELD_PX = 8192  # a TIFF of a larger side is a slide, pyramid or not


def is_slide(path: Path) -> bool:
    """Whether a file is a whole slide: by its suffix, or a TIFF with a pyramid or larger than any field."""
    suffix = path.suffix.lower()
    if suffix not in _TIFF_SUFFIXES:
        return suffix in SUFFIXES
    try:
        openslide = _import_openslide()
    except ConfigError:
        return False
    if openslide.OpenSlide.detect_format(path) is None:
        return False
    with _describe_slide_errors(), openslide.OpenSlide(path) as slide:
        return bool(slide.level_count > 1 or max(slide.dimensions) > _MAX_FIELD_PX)


class OpenSlideReader:
    """A slide that OpenSlide has open; see `SlideReader`. Its fingerprint is OpenSlide's hash, else the file's."""

    def __init__(self, path: Path) -> None:
        with _describe_slide_errors():
            self._slide = _import_openslide().OpenSlide(path)
        properties = self._slide.properties
        self.level_sizes: tuple[tuple[int, int], ...] = self._slide.level_dimensions
        self.level_downsamples: tuple[float, ...] = self._slide.level_downsamples
        self.fingerprint: str = properties.get("openslide.quickhash-1") or file_sha256(path)
        self._glass = f"#{properties.get('openslide.background-color', 'FFFFFF')}"

    def magnification(self) -> Magnification:
        """From the metadata: um/px, or else by the objective's power."""
        properties = self._slide.properties
        across, down = (parse_um_per_px(properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
        if not (math.isnan(across) or math.isnan(down)):
            if abs(across - down) > 0.02 * across:
                raise UnusableImageError(f"has pixels of {across:g} x {down:g} um, which are not square")
            return Magnification((across + down) / 2, METADATA)
        power = properties.get("openslide.objective-power")
        is_number = power and power.replace(".", "").isdigit()
        by_power = parse_um_per_px(UM_PX_OF_1X / float(power)) if is_number else math.nan
        return Magnification(None, "") if math.isnan(by_power) else Magnification(by_power, f"objective {power}x")

    def read(self, level: int, left: int, top: int, size_px: tuple[int, int]) -> Image.Image:
        """A rectangle on glass."""
        downsample = self.level_downsamples[level]
        with _describe_slide_errors():
            scanned = self._slide.read_region((round(left * downsample), round(top * downsample)), level, size_px)
        on_glass = Image.new("RGB", size_px, self._glass)
        on_glass.paste(scanned, mask=scanned.getchannel("A"))
        return on_glass

    def close(self) -> None:
        """Closes the file."""
        self._slide.close()


def open_reader(path: Path) -> OpenSlideReader:
    """An open slide."""
    return OpenSlideReader(path)


@contextmanager
def _describe_slide_errors() -> Iterator[None]:
    openslide = _import_openslide()
    try:
        yield
    except (openslide.OpenSlideError, OSError) as error:
        raise UnusableImageError(f"cannot be read as a slide ({one_line(error)})") from None


def _import_openslide() -> Any:
    try:
        import openslide
    except ImportError:
        raise ConfigError(
            "Whole slides need the packages openslide-python and openslide-bin: install thygan[tile]."
        ) from None
    return openslide
