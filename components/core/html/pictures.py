"""Images as parts of a page: grids, thumbnails, data URIs."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from components.core.data.images import Pixels

JPEG_QUALITY = 85


def image_grid(images: Sequence[Pixels], columns: int, gap_px: int = 2, side_px: int = 0) -> Pixels:
    """Square images side by side on white, row by row.

    Args:
        images: At least one image, each [H, W, 3] uint8.
        columns: Images per row; fewer where there are fewer images.
        gap_px: White space between two images, pixels.
        side_px: Side of each image, pixels; 0 = that of the first.

    Returns:
        One image [H, W, 3] uint8.
    """
    side = side_px or images[0].shape[0]
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    step = side + gap_px
    grid = np.full((rows * step - gap_px, columns * step - gap_px, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * step, index % columns * step
        grid[top : top + side, left : left + side] = resize(image, side)
    return grid


def resize(image: Pixels, side_px: int) -> Pixels:
    """The image with sides of `side_px`: area average when it shrinks, Lanczos when it grows."""
    if image.shape[:2] == (side_px, side_px):
        return image
    method = Image.Resampling.BOX if side_px < image.shape[0] else Image.Resampling.LANCZOS
    return np.array(Image.fromarray(image).resize((side_px, side_px), method))


def data_uri(image: Pixels, kind: str = "PNG") -> str:
    """The image [H, W, 3] as a `data:` address, "PNG" or "JPEG"."""
    buffer = io.BytesIO()
    options = {"quality": JPEG_QUALITY} if kind == "JPEG" else {"optimize": True}
    Image.fromarray(image).save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def thumbnail(image: Pixels, side_px: int = 40) -> str:
    """A small JPEG of the image as a `data:` address, about 1 kB."""
    return data_uri(resize(image, side_px), "JPEG")
