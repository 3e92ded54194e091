"""Counts of a stage's tiles, site by site and slide by slide, as they are cut."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.core.errors import DataError
from components.core.records.tile import SiteRow, SlideRow
from components.tile.coords import Crop
from components.tile.sampling import SlidePlan
from components.tile.sites import SiteRules


@dataclass
class SiteCounts:
    """One site's counts.

    Attributes:
        site: Its rules.
        crop: How its images are cut.
        images: Images that gave tiles.
        slides: Whole slides among them.
        small_images: Images smaller than a tile.
        sizes: Images of each width and height, pixels.
        labels: Tiles of each class.
        patients: Known patients with a tile.
        cases: Known cases with a tile.
    """

    site: SiteRules
    crop: Crop
    images: int = 0
    slides: int = 0
    small_images: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    patients: set[str] = field(default_factory=set)
    cases: set[str] = field(default_factory=set)

    def add(self, image: Mapping[Any, Any], tiles: int, size_px: tuple[int, int], *, is_slide: bool) -> None:
        """Counts an image that gave so many tiles."""
        if tiles:
            self.images += 1
            self.slides += is_slide
            self.sizes[size_px] += 1
            self.labels[image["label"]] += tiles
            self.patients |= {image["patient"]} - {""}
            self.cases |= {image["case"]} - {""}

    def row(self) -> SiteRow:
        """The site's row of the record.

        Raises:
            DataError: The site has no tile.
        """
        if not self.images:
            raise DataError(
                f"No image of site {self.site.name!r} gave a tile: check what --skip-bad, --small and --slide-filter "
                "leave out."
            )
        mpp = self.site.mpp
        return SiteRow(
            site=self.site.name,
            images=self.images,
            slides=self.slides,
            tiles=self.labels.total(),
            patients=len(self.patients),
            cases=len(self.cases),
            class0=self.labels[0],
            class1=self.labels[1],
            mpp=mpp * self.crop.tile_px / self.crop.resolution if mpp else None,
            source_mpp=self.site.source_mpp,
            small=self.site.small,
            small_images=self.small_images,
            tile_level=self.site.tile_level,
        )


def size_rows(sites: Iterable[SiteCounts]) -> list[dict[str, Any]]:
    """`site, width, height, images` of the images that gave tiles."""
    return [
        {"site": counts.site.name, "width": width, "height": height, "images": images}
        for counts in sites
        for (width, height), images in counts.sizes.items()
    ]


def slide_row(plan: SlidePlan, site: str, identity: str) -> SlideRow:
    """A slide's row of the record: its um/px, and the outcome of its tissue."""
    width, height = plan.slide.size_px
    return SlideRow(
        site=site,
        identity=identity,
        width=width,
        height=height,
        source_mpp=plan.mpp,
        mpp_stated_by=plan.magnification.stated_by,
        scale=plan.scale,
        tissue_tiles=len(plan.squares),
        tiles=len(plan.taken),
        refused_by_filter=len(plan.refused),
    )
