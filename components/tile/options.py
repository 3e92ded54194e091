"""Options of tile: the group `tile`."""

from dataclasses import dataclass

from components.core.options.fields import option

GROUP = "tile"
SHARED = ("tile_level",)


@dataclass(frozen=True)
class TileOptions:
    """The group `tile`."""

    study_mpp: float | None = option(
        None,
        "Micrometres per pixel that sites of known um/px are resampled to; left out = as they are. Whole slides need "
        "it.",
        low=0.01,
        high=100,
    )
    tile_px: int = option(512, "Side of the squares that are cut, pixels after resampling.", low=16)
    resolution: int | None = option(
        None, "Side that tiles are resized to, pixels; left out = that of the squares.", low=4
    )
    small: dict[str, str] = option(
        {},
        'Policy for images smaller than a tile, by site or "*": resize (enlarge to fit), pad (reflect), skip, or '
        "refuse (the default).",
    )
    patient_pattern: str = option(
        "",
        "Pattern of the patient in file names where labels name none: tharun-thompson (100a.jpeg), tcga (barcodes), "
        "nikiforov (NIK-A008_0.jpeg), several of these separated by commas, or a regular expression with a group "
        "`patient`.",
    )
    licences: dict[str, str] = option(
        {}, 'Terms under which each site\'s images may be used, SITE=CC-BY-4.0; "*" = all other sites.'
    )
    skip_bad: bool = option(
        False,
        "Continue without images that cannot be used (unreadable, not 8-bit RGB, duplicates, slides without um/px or "
        "tissue); they are counted and listed.",
    )
    slide_tiles: int = option(20, "Tiles of each whole slide, drawn at random from its tissue; 0 = all.", low=0)
    min_tissue: float = option(0.5, "Least share of tissue in a slide's tile.", low=0, high=1)
    slide_filter: str = option(
        "none",
        "Filter on the slides' tiles of a blind tile set: none, or reference-band, which keeps tiles whose mean and "
        "spread are both within one standard deviation of the study's training tiles (Thy-GAN's choice).",
        choices=("none", "reference-band"),
    )
    data_version: str = option(
        "", "Version of the files behind the sources, any text; a new one makes cached results miss."
    )
