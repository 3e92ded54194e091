"""From a whole slide to its tiles: tissue, a seeded order, and the first ones that the filter lets through."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from PIL import Image

from components.core.data.png import encode_stored_png
from components.core.errors import ConfigError
from components.core.runtime.prefetch import prefetch_map
from components.tile.coords import Crop, Tile
from components.tile.images import UnusableImageError
from components.tile.reference_band import Band
from components.tile.slides import Magnification, Slide
from components.tile.tissue import shares, tissue_mask

_OVERVIEW_PX = 2048
_ROUNDING = 1e-6  # of a pixel: a slide of exactly so many tiles has so many
_STATED_MAY_DIFFER = 0.1  # of the slide's own um/px

Square = tuple[int, int]


@dataclass(frozen=True)
class Sampling:
    """Which tiles of a slide are taken.

    Attributes:
        tiles: Most per slide; 0 = all.
        min_tissue: Least share of tissue in a tile.
        seed: Of the order.
        band: Filter on the tiles' tone; None = none.
    """

    tiles: int = 20
    min_tissue: float = 0.5
    seed: int = 0
    band: Band | None = None


@dataclass
class SlidePlan:
    """A slide before its tiles are read, and afterwards what became of them.

    Attributes:
        slide: Open.
        magnification: Its um/px, and who says so.
        scale: Pixels at the wanted um/px for each of full resolution.
        squares: Tissue tiles in the order in which they are tried: left and top edges at the wanted um/px.
        overview: RGB, the whole slide.
        side: Of a tile in the overview's pixels.
        taken: Squares that became tiles.
        refused: Squares that the filter refused.
    """

    slide: Slide
    magnification: Magnification
    scale: float
    squares: list[Square]
    overview: Image.Image
    side: float
    taken: list[Square] = field(default_factory=list)
    refused: list[Square] = field(default_factory=list)

    @property
    def mpp(self) -> float:
        """Its um/px at full resolution."""
        assert self.magnification.mpp
        return self.magnification.mpp


def looked_at(slide: Slide, crop: Crop, sampling: Sampling, name: str) -> SlidePlan:
    """Where a slide has tissue, and in which order its tiles are tried.

    Args:
        slide: Open; not smaller than a tile.
        crop: How its site is cut.
        sampling: What is taken.
        name: Its name within the source: with the seed, it decides the order, whatever other slides there are.

    Raises:
        ConfigError: Nobody says at which um/px to cut.
        OddImageError: Its um/px is unknown or contradicted, or it has no tissue.
    """
    magnification = _magnification(slide, crop)
    assert magnification.mpp and crop.mpp
    scale = magnification.mpp / crop.mpp
    width, height = _size(slide, scale)
    overview = slide.overview(_OVERVIEW_PX)
    shrunk = overview.width / (slide.size_px[0] * scale)
    side = crop.tile_px
    grid = np.array(
        [(x, y) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)], float
    ).reshape(-1, 2)
    tissue = shares(tissue_mask(overview), grid * shrunk, side * shrunk) >= sampling.min_tissue
    if not tissue.any():
        raise UnusableImageError(f"has no tile with {100 * sampling.min_tissue:g} % tissue (see --min-tissue)")
    order = _generator(sampling.seed, name).permutation(int(tissue.sum()))
    squares = [(int(x), int(y)) for x, y in grid[tissue][order]]
    return SlidePlan(slide, magnification, scale, squares, overview, side * shrunk)


def tiles_of(look: SlidePlan, crop: Crop, sampling: Sampling) -> Iterator[Tile]:
    """The tiles of a slide, one after the other, read on all cores; `look` notes what became of each square."""
    wanted = sampling.tiles or len(look.squares)
    tried = look.squares if sampling.band else look.squares[:wanted]
    for square, tile in zip(tried, prefetch_map(partial(_tile, look, crop, sampling.band), tried), strict=False):
        (look.refused if tile is None else look.taken).append(square)
        if tile:
            yield tile
        if len(look.taken) == wanted:
            return


def whole(slide: Slide, crop: Crop) -> Image.Image | None:
    """A slide that is smaller than a tile, at the wanted um/px; None = it is not smaller.

    Raises:
        ConfigError, OddImageError: As in `looked_at`.
    """
    own = _magnification(slide, crop)
    assert own.mpp and crop.mpp
    size = _size(slide, own.mpp / crop.mpp)
    return None if min(size) >= crop.tile_px else Image.fromarray(slide.region(0, 0, slide.size_px, size))


def _size(slide: Slide, scale: float) -> tuple[int, int]:
    """Whole pixels of a slide after scaling, at least one."""
    width, height = (max(1, int(side_px * scale + _ROUNDING)) for side_px in slide.size_px)
    return width, height


def _magnification(slide: Slide, crop: Crop) -> Magnification:
    """The slide's own um/px where it says one, or else the stated one."""
    if crop.mpp is None:
        raise ConfigError(
            "Whole slides are cut at a um/px of your choice: give it by --study-mpp, for example 0.5, and do not state "
            "their site's as unknown."
        )
    own, stated = slide.magnification(), crop.source_mpp
    if own.mpp and stated and abs(own.mpp - stated) > _STATED_MAY_DIFFER * own.mpp:
        raise UnusableImageError(
            f"says {own.mpp:.4g} um/px ({own.stated_by}) where --mpp says {stated:g} (write SITE=metadata to go by the "
            "slides)"
        )
    if own.mpp or stated:
        return own if own.mpp else Magnification(stated, "--mpp")
    raise UnusableImageError("says neither its um/px nor its objective's power (state its site's by --mpp SITE=0.25)")


def _tile(look: SlidePlan, crop: Crop, band: Band | None, square: Square) -> Tile | None:
    """A square's tile; None where the filter refuses it."""
    x, y = square
    side, out = crop.tile_px / look.scale, crop.resolution
    pixels = look.slide.region(x / look.scale, y / look.scale, (side, side), (out, out))
    return None if band and not band.holds(pixels) else Tile(x, y, encode_stored_png(pixels))


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")])
