"""Fields: strict reading of 8-bit RGB images, and the reasons for which a file is not usable."""

import struct
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from components.core.errors import one_line

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}
_MODE_NAMES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with alpha",
    "I;16": "16-bit grey",
    "P": "a palette image",
    "RGBA": "RGB with alpha",
    "CMYK": "for print",
}
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, TypeError, ArithmeticError, LookupError, struct.error)


class UnusableImageError(Exception):
    """A file that no tile can be cut from; its text is the end of a sentence that begins with the file's name."""


def open_rgb(path: str | Path) -> Image.Image:
    """The decoded image, upright by its EXIF orientation.

    Raises:
        UnusableImageError: It cannot be read to its end, is not 8-bit RGB, or not of the format that its name says.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            _check_format(image, FORMATS.get(path.suffix.lower(), image.format))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return image
    except UnidentifiedImageError:
        what = "its format is unknown to Pillow" if path.stat().st_size else "it is empty"
        raise UnusableImageError(f"cannot be read ({what})") from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise UnusableImageError(
            f"claims more than {limit} million pixels, more than any field has (a slide, or a decompression bomb?)"
        ) from None
    except _UNREADABLE as error:
        raise UnusableImageError(f"cannot be read ({_reason(error)})") from None


def _check_format(image: Image.Image, expected: str | None) -> None:
    if (pages := getattr(image, "n_frames", 1)) > 1:
        raise UnusableImageError(f"holds {pages} images, not one")
    if image.format != expected:
        raise UnusableImageError(f"is a {image.format} image, not the {expected} that its name says")
    if image.mode != "RGB":
        raise UnusableImageError(f"is {_MODE_NAMES.get(image.mode, 'an image')} (mode {image.mode}), not RGB")
    # Pillow reads 16-bit RGB as mode RGB and drops the lower byte; only the raw mode shows it
    if ";16" in str([tile[3] for tile in getattr(image, "tile", ())]):
        raise UnusableImageError("has 16 bits per channel, not 8")


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or one_line(error)
