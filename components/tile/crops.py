"""From an image file to its tiles: strict reading, resampling, covering crops. Runs in worker processes."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from components.core.archive import encode_png
from components.tile.sites import REFUSE

LANCZOS = Image.Resampling.LANCZOS
_WORDS = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with alpha",
    "I;16": "16-bit grey",
    "P": "a palette image",
    "RGBA": "RGB with alpha",
    "CMYK": "for print",
}
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Crop:
    """How an image becomes tiles.

    Attributes:
        tile_px: Side of the square that is cut.
        resolution: Side that it is resized to.
        scale: Factor that the image is resampled by before.
        small: What to do with an image smaller than a tile: resize, pad, skip or refuse.
    """

    tile_px: int
    resolution: int
    scale: float = 1.0
    small: str = REFUSE


@dataclass(frozen=True)
class Tiles:
    """An image's tiles, or why there are none.

    Attributes:
        pngs: (x, y, PNG bytes), left and top edge in the resampled image, row by row.
        scale: Factor from the source's pixels to the pixels of a tile.
        odd: What is wrong with the file; '' = nothing.
        small: Says how the image is smaller than a tile; '' = it is not.
    """

    pngs: tuple[tuple[int, int, bytes], ...] = ()
    scale: float = 1.0
    odd: str = ""
    small: str = ""


class OddImageError(Exception):
    """A file that is no plain 8-bit RGB image; says what it is."""


def positions(size_px: int, tile_px: int) -> list[int]:
    """Left edges of the tiles along a side: as many as fit best, the last one at the far edge.

    Thy-GAN's counts: 1916 px give 0, 512, 1024, 1404 and 1053 px give 0, 541. Where the last tile is not drawn back,
    a strip narrower than half a tile stays out before it.
    """
    count = max(1, math.floor(size_px / tile_px + 0.5))
    return [*range(0, (count - 1) * tile_px, tile_px), size_px - tile_px]


def open_rgb(path: str | Path) -> Image.Image:
    """The decoded image, upright by its EXIF orientation.

    Raises:
        OddImageError: It cannot be read to its end, or is not 8-bit RGB.
    """
    try:
        with Image.open(path) as image:
            if image.mode != "RGB":
                raise OddImageError(f"is {_WORDS.get(image.mode, 'an image')} (mode {image.mode}), not RGB")
            # Pillow reads 16-bit RGB as mode RGB and drops the lower byte; only the raw mode tells
            if ";16" in str([tile[3] for tile in image.tile]):
                raise OddImageError("has 16 bits per channel, not 8")
            if (pages := getattr(image, "n_frames", 1)) > 1:
                raise OddImageError(f"holds {pages} images, not one")
            return ImageOps.exif_transpose(image)
    except Image.UnidentifiedImageError:
        raise OddImageError("cannot be read (it is no image that Pillow knows)") from None
    except _UNREADABLE as error:
        raise OddImageError(f"cannot be read ({error})") from None


def cut(path: str, crop: Crop) -> Tiles:
    """The tiles of one image file."""
    try:
        image = open_rgb(path)
    except OddImageError as error:
        return Tiles(odd=str(error))
    side, scale = crop.tile_px, crop.scale
    if scale != 1:
        image = _resized(image, scale)
    small = ""
    if min(image.size) < side:
        small = f"{image.width}x{image.height} px is smaller than a tile of {side} px"
        if crop.small not in ("resize", "pad"):
            return Tiles(small=small)
        if crop.small == "resize":
            scale *= side / min(image.size)
            image = _resized(image, side / min(image.size))
        else:
            image = _padded(image, side)
    corners = [(x, y) for y in positions(image.height, side) for x in positions(image.width, side)]
    pngs = tuple((x, y, _tile(image.crop((x, y, x + side, y + side)), crop.resolution)) for x, y in corners)
    return Tiles(pngs, scale * crop.resolution / side, small=small)


def _resized(image: Image.Image, scale: float) -> Image.Image:
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), LANCZOS)


def _padded(image: Image.Image, side_px: int) -> Image.Image:
    bottom, right = max(0, side_px - image.height), max(0, side_px - image.width)
    return Image.fromarray(np.pad(np.asarray(image), ((0, bottom), (0, right), (0, 0)), mode="reflect"))


def _tile(image: Image.Image, resolution: int) -> bytes:
    if image.width != resolution:
        image = image.resize((resolution, resolution), LANCZOS)
    return encode_png(np.asarray(image))
