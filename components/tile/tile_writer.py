"""Writes the tiles of one image after the other into the archive, and counts what was written and left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.core.data.archive import ArchiveWriter
from components.core.errors import DataError
from components.core.protocol.lineage import identity
from components.core.records.tile import SkippedImage, SlideRow
from components.tile.images import UnusableImageError
from components.tile.overview import overview_jpeg
from components.tile.sampling import SlideSampling
from components.tile.site_counts import SiteCounts, slide_row
from components.tile.sites import REFUSE, SiteRules
from components.tile.tile_extraction import OpenedImage


@dataclass
class TileWriter:
    """An archive that is being written, and its counts.

    Attributes:
        archive: Open archive.
        sites: Counts by name of the site.
        sampling: How slides' tiles are selected.
        key: Study key.
        blind: True where labels stay out of the archive.
        skip_bad: True where images that cannot be used are left out, False where they end the stage.
        tiles_per_image: Tiles of each image so far.
        skipped: Images that gave no tile, or not all of their tiles.
        slides: Slides that gave tiles.
        overviews: Their pictures, JPEG.
    """

    archive: ArchiveWriter
    sites: Mapping[str, SiteCounts]
    sampling: SlideSampling
    key: bytes
    blind: bool
    skip_bad: bool
    tiles_per_image: list[int] = field(default_factory=list)
    skipped: list[SkippedImage] = field(default_factory=list)
    slides: list[SlideRow] = field(default_factory=list)
    overviews: list[bytes] = field(default_factory=list)
    _first_with: dict[str, str] = field(default_factory=dict)  # fingerprint -> address

    def write(self, image: Mapping[Any, Any], address: str, opened: OpenedImage) -> None:
        """Writes one image's tiles.

        Args:
            image: Its row of the sources' table.
            address: Its name in messages.
            opened: The image itself.

        Raises:
            DataError: It cannot be used, and `skip_bad` is off.
        """
        counts = self.sites[image["site"]]
        counts.small_images += bool(opened.field_tiles.small)
        row = self._manifest_row(image, opened.mpp(counts.crop))
        reason, tiles = opened.reject_reason or self._duplicate_reason(opened.fingerprint, address), 0
        try:
            for tile in () if reason else opened.tiles(counts.crop, self.sampling):
                self.archive.add(tile.png, {**row, "x": tile.x, "y": tile.y})
                tiles += 1
        except UnusableImageError as error:
            reason = f"{error}; {tiles} tile(s) were read before"
        if reason and not self.skip_bad:
            raise DataError(
                f"{address} {reason}: repair, replace or remove it, or leave such images out by --skip-bad."
            )
        if why := reason or ("" if tiles else _no_tile_reason(address, opened, counts.site)):
            self.skipped.append(SkippedImage(image["source"], why))
        if opened.slide_plan and tiles:
            self.slides.append(slide_row(opened.slide_plan, counts.site.name, row["identity"]))
            self.overviews.append(overview_jpeg(opened.slide_plan, counts.crop.tile_px))
        self.tiles_per_image.append(tiles)
        counts.add(image, tiles, opened.size_px, is_slide=opened.slide_plan is not None)

    def _manifest_row(self, image: Mapping[Any, Any], mpp: float | None) -> dict[str, Any]:
        """What an image's tiles have in common in the archive's manifest."""
        row = {name: image[name] for name in ("label", "patient", "case", "diagnosis", "site", "source")}
        row["mpp"] = mpp
        row["identity"] = identity(self.key, image["site"], image["number"]) if image["number"] else ""
        return {**row, "label": None, "diagnosis": ""} if self.blind else row

    def _duplicate_reason(self, fingerprint: str, address: str) -> str:
        """Names the image that this one is a copy of; '' = none so far."""
        first = self._first_with.setdefault(fingerprint, address) if fingerprint else address
        return "" if first == address else f"has the same content as {first}"


def _no_tile_reason(address: str, opened: OpenedImage, site: SiteRules) -> str:
    """Why a sound image gave no tile; refuses a small field where no policy for those is stated."""
    if opened.slide_plan:
        return f"none of its {len(opened.slide_plan.squares):,} tissue tiles is within the reference band"
    if site.small == REFUSE:
        raise DataError(
            f"{address}: {opened.field_tiles.small}; choose a policy by --small {site.name}=resize (or pad, or skip)."
        )
    return opened.field_tiles.small
