"""Strict reading: a field is one 8-bit RGB image that is what its name says, or it is odd and says how."""

import struct
from pathlib import Path

from PIL import Image, ImageOps

from components.core.errors import one_line

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}
_WORDS = {
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
    """A file that no tile can be cut from; says what it is, as the end of a sentence that begins with its name."""


def open_rgb(path: str | Path) -> Image.Image:
    """The decoded image, upright by its EXIF orientation.

    Raises:
        OddImageError: It cannot be read to its end, is not 8-bit RGB, or not of the format that its name says.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            _check(image, FORMATS.get(path.suffix.lower(), image.format))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return image
    except Image.UnidentifiedImageError:
        what = "it is no image that Pillow knows" if path.stat().st_size else "it is empty"
        raise UnusableImageError(f"cannot be read ({what})") from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise UnusableImageError(
            f"claims more than {limit} million pixels, as no field has (a slide, or a trap?)"
        ) from None
    except _UNREADABLE as error:
        raise UnusableImageError(f"cannot be read ({_plain(error)})") from None


def _check(image: Image.Image, expected: str | None) -> None:
    if (pages := getattr(image, "n_frames", 1)) > 1:
        raise UnusableImageError(f"holds {pages} images, not one")
    if image.format != expected:
        raise UnusableImageError(f"is a {image.format} image, not the {expected} that its name says")
    if image.mode != "RGB":
        raise UnusableImageError(f"is {_WORDS.get(image.mode, 'an image')} (mode {image.mode}), not RGB")
    # Pillow reads 16-bit RGB as mode RGB and drops the lower byte; only the raw mode tells
    if ";16" in str([tile[3] for tile in getattr(image, "tile", ())]):
        raise UnusableImageError("has 16 bits per channel, not 8")


def _plain(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or one_line(error)
