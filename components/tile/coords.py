"""From a field to its tiles: resampling, covering crops, what becomes of images smaller than a tile."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from components.core.data.images import Pixels
from components.core.data.png import encode_stored_png
from components.tile.sites import REFUSE

LANCZOS = Image.Resampling.LANCZOS


@dataclass(frozen=True)
class Crop:
    """How a site's images become tiles.

    Attributes:
        tile_px: Side of the square that is cut, pixels.
        resolution: Side that it is resized to, pixels.
        source_mpp: Stated micrometres per pixel of the images; None = unknown, or each slide's own.
        mpp: Micrometres per pixel that they are resampled to; None = as they are.
        small: Policy for an image smaller than a tile: resize, pad, skip or refuse.
        metadata: True where only slides with um/px of their own are allowed.
    """

    tile_px: int
    resolution: int
    source_mpp: float | None = None
    mpp: float | None = None
    small: str = REFUSE
    metadata: bool = False


class Tile(NamedTuple):
    """Left and top edge in the resampled image, and the PNG."""

    x: int
    y: int
    png: bytes


@dataclass(frozen=True)
class FieldTiles:
    """A field's tiles, or why there are none.

    Attributes:
        tiles: Tiles, row by row.
        mpp: Micrometres per pixel of a tile; None = unknown.
        small: How the image is smaller than a tile, as the end of a sentence; '' = it is not.
    """

    tiles: tuple[Tile, ...] = ()
    mpp: float | None = None
    small: str = ""


def tile_positions(size_px: int, tile_px: int) -> list[int]:
    """Left edges of the tiles along a side: as many as fit best, the last one at the far edge.

    Thy-GAN's counts: 1916 px give 0, 512, 1024, 1404 and 1053 px give 0, 541. Where the last tile does not overlap its
    neighbour, a strip narrower than half a tile is left out before it.
    """
    count = max(1, math.floor(size_px / tile_px + 0.5))
    return [*range(0, (count - 1) * tile_px, tile_px), size_px - tile_px]


def cut_field(image: Image.Image, crop: Crop) -> FieldTiles:
    """The tiles of one image.

    Args:
        image: RGB image at `crop.source_mpp`.
        crop: Rules of its site.
    """
    side, mpp, small = crop.tile_px, crop.source_mpp, ""
    if mpp and crop.mpp and mpp != crop.mpp:
        image, mpp = _resize(image, mpp / crop.mpp), crop.mpp
    if min(image.size) < side:
        small = f"{image.width}x{image.height} px is smaller than a tile of {side} px"
        if crop.small not in ("resize", "pad"):
            return FieldTiles(small=small)
        if crop.small == "resize":
            scale = side / min(image.size)
            image, mpp = _resize(image, scale), mpp / scale if mpp else None
    pixels = _pad(np.asarray(image), side)
    height, width, _ = pixels.shape
    tiles = tuple(
        Tile(x, y, encode_tile(pixels[y : y + side, x : x + side], crop.resolution))
        for y in tile_positions(height, side)
        for x in tile_positions(width, side)
    )
    return FieldTiles(tiles, mpp * side / crop.resolution if mpp else None, small)


def encode_tile(pixels: Pixels, resolution: int) -> bytes:
    """A square's PNG at `resolution`."""
    if len(pixels) != resolution:
        pixels = np.asarray(Image.fromarray(pixels).resize((resolution, resolution), LANCZOS))
    return encode_stored_png(pixels)


def _resize(image: Image.Image, scale: float) -> Image.Image:
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), LANCZOS)


def _pad(pixels: Pixels, side_px: int) -> Pixels:
    bottom, right = max(0, side_px - pixels.shape[0]), max(0, side_px - pixels.shape[1])
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="reflect") if bottom or right else pixels
