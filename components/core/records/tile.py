"""The record of `tile`: what was cut, site by site and slide by slide, and what was left out."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SiteRow:
    """One site.

    Attributes:
        site: Name of the site.
        images: Images that gave tiles, slides included.
        slides: Whole slides among them.
        tiles: Tiles of the site.
        patients: Known patients with a tile.
        cases: Known cases with a tile.
        class0: Tiles of class 0.
        class1: Tiles of class 1.
        mpp: Micrometres per pixel of the tiles, enlarged ones apart; None = unknown.
        source_mpp: Stated micrometres per pixel of the images; None = unknown, or each slide's own.
        small: Policy for images smaller than a tile.
        small_images: Images smaller than a tile.
        tile_level: True where patients need not be known.
    """

    site: str
    images: int
    slides: int
    tiles: int
    patients: int
    cases: int
    class0: int
    class1: int
    mpp: float | None
    source_mpp: float | None
    small: str
    small_images: int
    tile_level: bool


@dataclass(frozen=True)
class SkippedImage:
    """An image that gave no tile, or not all of its tiles.

    Attributes:
        file: Name of the image within its source.
        why: Reason, the end of a sentence that begins with the name.
    """

    file: str
    why: str


@dataclass(frozen=True)
class SlideRow:
    """One whole slide that gave tiles.

    Attributes:
        site: Name of the site.
        identity: Pseudonymous patient; '' = unknown.
        width: Width at full resolution, pixels.
        height: Height at full resolution, pixels.
        source_mpp: Micrometres per pixel at full resolution.
        mpp_stated_by: Origin of that number: the slide's metadata, its objective's power, or the option `mpp`.
        scale: Pixels at the study's micrometres per pixel for each pixel at full resolution.
        tissue_tiles: Grid squares with enough tissue.
        tiles: Tiles taken.
        refused_by_filter: Squares that the slide filter refused.
    """

    site: str
    identity: str
    width: int
    height: int
    source_mpp: float
    mpp_stated_by: str
    scale: float
    tissue_tiles: int
    tiles: int
    refused_by_filter: int


@dataclass(frozen=True)
class ReferenceBand:
    """Tone of the study's training tiles, by which the slide filter decides.

    Attributes:
        mean: Mean of the tiles' mean values, 0..255.
        mean_sd: Standard deviation of the tiles' mean values.
        spread: Mean of the tiles' standard deviations, 0..255.
        spread_sd: Standard deviation of the tiles' standard deviations.
        tiles: Number of reference tiles.
        patients: Number of reference patients.
    """

    mean: float
    mean_sd: float
    spread: float
    spread_sd: float
    tiles: int
    patients: int


@dataclass(frozen=True)
class TileRecord:
    """What `tile` writes down.

    Attributes:
        tile_px: Side of the squares that were cut, pixels.
        resolution: Side of the stored tiles, pixels.
        tiles: Number of tiles.
        images: Images that gave tiles.
        patients: Known patients with a tile.
        mpp: Micrometres per pixel of the tiles; NaN = unknown, or not the same at every site.
        sites: Counts of each site.
        skipped: Images that were left out.
        slides: Whole slides that gave tiles.
        slide_tiles: Most tiles of a slide, 0 = all; None where no slide gave tiles, as the next three.
        min_tissue: Least share of tissue in a slide's tile, 0..1.
        slide_filter: Filter on the slides' tiles.
        seed: Seed of the order in which a slide's tiles were tried.
        reference_band: Tone by which the slides' tiles were filtered; None = no filter.
        patient_numbers_at_several_sites: Patient numbers that more than one site uses; None = no such number.
        data_version: Version of the data as the options state it; None = not stated.
    """

    tile_px: int
    resolution: int
    tiles: int
    images: int
    patients: int
    mpp: float
    sites: list[SiteRow] = field(default_factory=list)
    skipped: list[SkippedImage] = field(default_factory=list)
    slides: list[SlideRow] = field(default_factory=list)
    slide_tiles: int | None = None
    min_tissue: float | None = None
    slide_filter: str | None = None
    seed: int | None = None
    reference_band: ReferenceBand | None = None
    patient_numbers_at_several_sites: int | None = None
    data_version: str | None = None
