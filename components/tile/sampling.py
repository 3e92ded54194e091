"""From a whole slide to its tiles: tissue, a seeded order, and the first ones that the filter lets through."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from PIL import Image

from components.core.data.png import encode_stored_png
from components.core.errors import ConfigError
from components.core.records.tile import ReferenceBand
from components.core.runtime.prefetch import prefetch_map
from components.tile.coords import Crop, Tile
from components.tile.images import UnusableImageError
from components.tile.reference_band import is_in_band
from components.tile.slide_reader import Magnification
from components.tile.slides import Slide
from components.tile.tissue import tissue_mask, tissue_shares

_OVERVIEW_PX = 2048
_ROUNDING = 1e-6  # of a pixel: a slide of exactly so many tiles has so many
_MPP_TOLERANCE = 0.1  # of the slide's own um/px, by which the stated um/px may differ

Square = tuple[int, int]  # left and top edge


@dataclass(frozen=True)
class SlideSampling:
    """How a slide's tiles are selected.

    Attributes:
        tiles: Most tiles per slide; 0 = all.
        min_tissue: Least share of tissue in a tile, 0..1.
        seed: Seed of the order in which tiles are tried.
        band: Filter on the tiles' tone; None = no filter.
    """

    tiles: int = 20
    min_tissue: float = 0.5
    seed: int = 0
    band: ReferenceBand | None = None


@dataclass
class SlidePlan:
    """A slide before its tiles are read, and the outcome of each square afterwards.

    Attributes:
        slide: The open slide.
        magnification: Its um/px, and where that comes from.
        scale: Pixels at the wanted um/px for each pixel at full resolution.
        squares: Tissue tiles in the order in which they are tried: left and top edges at the wanted um/px.
        overview: RGB image of the whole slide.
        side: Side of a tile in the overview, pixels.
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


def plan_slide(slide: Slide, crop: Crop, sampling: SlideSampling, name: str) -> SlidePlan:
    """Where a slide has tissue, and in which order its tiles are tried.

    Args:
        slide: An open slide that is not smaller than a tile.
        crop: Rules of its site.
        sampling: How tiles are selected.
        name: Its name within the source; with the seed, it decides the order, whatever other slides there are.

    Raises:
        ConfigError: The um/px to cut at is not stated.
        UnusableImageError: Its um/px is unknown or contradicted, or it has no tissue.
    """
    magnification = _effective_magnification(slide, crop)
    assert magnification.mpp and crop.mpp
    scale = magnification.mpp / crop.mpp
    width, height = _size_at_scale(slide, scale)
    overview = slide.overview(_OVERVIEW_PX)
    shrunk = overview.width / (slide.size_px[0] * scale)
    side = crop.tile_px
    grid = np.array(
        [(x, y) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)], float
    ).reshape(-1, 2)
    has_tissue = tissue_shares(tissue_mask(overview), grid * shrunk, side * shrunk) >= sampling.min_tissue
    if not has_tissue.any():
        raise UnusableImageError(f"has no tile with {100 * sampling.min_tissue:g} % tissue (see --min-tissue)")
    order = _rng_of_slide(sampling.seed, name).permutation(int(has_tissue.sum()))
    squares = [(int(x), int(y)) for x, y in grid[has_tissue][order]]
    return SlidePlan(slide, magnification, scale, squares, overview, side * shrunk)


def read_tiles(plan: SlidePlan, crop: Crop, sampling: SlideSampling) -> Iterator[Tile]:
    """The tiles of a slide, one after the other, read on all cores; `plan` keeps the outcome of each square."""
    wanted = sampling.tiles or len(plan.squares)
    tried = plan.squares if sampling.band else plan.squares[:wanted]
    for square, tile in zip(tried, prefetch_map(partial(_read_tile, plan, crop, sampling.band), tried), strict=False):
        (plan.refused if tile is None else plan.taken).append(square)
        if tile:
            yield tile
        if len(plan.taken) == wanted:
            return


def read_small_slide(slide: Slide, crop: Crop) -> Image.Image | None:
    """A slide that is smaller than a tile, whole, at the wanted um/px; None = it is not smaller.

    Raises:
        ConfigError: As in `plan_slide`.
        UnusableImageError: As in `plan_slide`.
    """
    magnification = _effective_magnification(slide, crop)
    assert magnification.mpp and crop.mpp
    size = _size_at_scale(slide, magnification.mpp / crop.mpp)
    return None if min(size) >= crop.tile_px else Image.fromarray(slide.region(0, 0, slide.size_px, size))


def _size_at_scale(slide: Slide, scale: float) -> tuple[int, int]:
    """Whole pixels of a slide after scaling, at least one."""
    width, height = (max(1, int(side_px * scale + _ROUNDING)) for side_px in slide.size_px)
    return width, height


def _effective_magnification(slide: Slide, crop: Crop) -> Magnification:
    """The slide's own um/px where it has one, or else the stated one."""
    if crop.mpp is None:
        raise ConfigError(
            "Whole slides are cut at a um/px of your choice: give it by --study-mpp, for example 0.5, and do not state "
            "their site's as unknown."
        )
    of_slide, stated = slide.magnification(), crop.source_mpp
    if of_slide.mpp and stated and abs(of_slide.mpp - stated) > _MPP_TOLERANCE * of_slide.mpp:
        raise UnusableImageError(
            f"has {of_slide.mpp:.4g} um/px ({of_slide.stated_by}) where --mpp states {stated:g} (write SITE=metadata "
            "to go by the slides)"
        )
    if of_slide.mpp or stated:
        return of_slide if of_slide.mpp else Magnification(stated, "--mpp")
    raise UnusableImageError("states neither its um/px nor its objective's power (state its site's by --mpp SITE=0.25)")


def _read_tile(plan: SlidePlan, crop: Crop, band: ReferenceBand | None, square: Square) -> Tile | None:
    """A square's tile; None where the filter refuses it."""
    x, y = square
    side, out = crop.tile_px / plan.scale, crop.resolution
    pixels = plan.slide.region(x / plan.scale, y / plan.scale, (side, side), (out, out))
    return None if band and not is_in_band(band, pixels) else Tile(x, y, encode_stored_png(pixels))


def _rng_of_slide(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")])
