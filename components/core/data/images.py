"""Pixels to image bytes and back."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from components.core.data.png import encode_stored_png
from components.core.errors import DataError, one_line

Pixels = npt.NDArray[np.uint8]

STORED = 0  # the level that keeps pixels as they are
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def encode_png(image: Pixels, compress_level: int = 1) -> bytes:
    """PNG bytes of an image [H, W, 3] uint8."""
    if compress_level == STORED:
        return encode_stored_png(image)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()


def decode(data: bytes, name: str = "The image") -> Pixels:
    """Pixels [H, W, 3] uint8 of an encoded 8-bit RGB or grey image.

    Raises:
        DataError: Another kind of image, or bytes that are none; `name` opens the sentence.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode not in ("RGB", "L"):
                raise DataError(f"{name} is of mode {image.mode}, not 8-bit RGB: make it again from an RGB image.")
            return np.array(image.convert("RGB"))
    except UnidentifiedImageError:
        raise DataError(f"{name} is no image: get a sound copy.") from None
    except _UNREADABLE as error:
        raise DataError(f"{name} cannot be decoded ({one_line(error)}): get a sound copy.") from None
