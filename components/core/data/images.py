"""Encoding pixels as PNG, and decoding images."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from components.core.data.png import encode_stored_png
from components.core.errors import DataError, one_line

Pixels = npt.NDArray[np.uint8]

STORED = 0  # compression level without deflation
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

    Args:
        data: Bytes of the image file.
        name: Name of the image, the subject of an error message.

    Raises:
        DataError: The bytes are damaged, or not an 8-bit RGB or grey image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode not in ("RGB", "L"):
                raise DataError(f"{name} has the mode {image.mode}, not 8-bit RGB: convert it to RGB.")
            return np.array(image.convert("RGB"))
    except UnidentifiedImageError:
        raise DataError(f"{name} is not an image: replace it by an intact copy.") from None
    except _UNREADABLE as error:
        raise DataError(f"{name} cannot be decoded ({one_line(error)}): replace it by an intact copy.") from None
