"""What a stage's tiles add up to, site by site and slide by slide, as they are cut."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.core.errors import DataError
from components.tile.coords import Crop
from components.tile.sampling import SlidePlan
from components.tile.sites import Site


@dataclass
class SiteTally:
    """One site's counts.

    Attributes:
        site: Its rules.
        crop: How it is cut.
        images: That gave tiles.
        slides: Whole slides among them.
        small_images: Smaller than a tile.
        sizes: Images of each width and height, pixels.
        labels: Tiles of each class.
        patients: Their numbers.
        cases: Their numbers.
    """

    site: Site
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

    def row(self) -> dict[str, Any]:
        """A row of the record's table "sites"; `mpp` is that of the tiles, of enlarged ones apart.

        Raises:
            DataError: The site has no tile.
        """
        if not self.images:
            raise DataError(
                f"No image of site {self.site.name!r} gave a tile: see what --skip-bad, --small and --slide-filter "
                "leave out."
            )
        mpp = self.site.mpp
        return {
            "site": self.site.name,
            "images": self.images,
            "slides": self.slides,
            "tiles": self.labels.total(),
            "patients": len(self.patients),
            "cases": len(self.cases),
            "class0": self.labels[0],
            "class1": self.labels[1],
            "mpp": mpp * self.crop.tile_px / self.crop.resolution if mpp else None,
            "source_mpp": self.site.source_mpp,
            "small": self.site.small,
            "small_images": self.small_images,
            "tile_level": self.site.tile_level,
        }


def size_rows(tallies: Iterable[SiteTally]) -> list[dict[str, Any]]:
    """`site, width, height, images` of the images that gave tiles."""
    return [
        {"site": tally.site.name, "width": width, "height": height, "images": images}
        for tally in tallies
        for (width, height), images in tally.sizes.items()
    ]


def slide_row(look: SlidePlan, site: str, identity: str) -> dict[str, Any]:
    """A row of the record's table "slides": where its um/px stands, and what became of its tissue."""
    width, height = look.slide.size_px
    return {
        "site": site,
        "identity": identity,
        "width": width,
        "height": height,
        "source_mpp": look.mpp,
        "mpp_stated_by": look.magnification.stated_by,
        "scale": look.scale,
        "tissue_tiles": len(look.squares),
        "tiles": len(look.taken),
        "refused_by_filter": len(look.refused),
    }
