"""Takes the tiles of one image after the other into the archive, and keeps account of what came and what did not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.core.data.archive import ArchiveWriter
from components.core.errors import DataError
from components.core.protocol.lineage import identity
from components.tile.images import UnusableImageError
from components.tile.overview import drawn
from components.tile.sampling import Sampling
from components.tile.site_counts import SiteTally, slide_row
from components.tile.sites import REFUSE, Site
from components.tile.tile_extraction import OpenedImage


@dataclass
class TileWriter:
    """The archive and its account.

    Attributes:
        archive: Open.
        tallies: By site.
        sampling: Of slides.
        key: Study key.
        blind: Whether labels stay out of the archive.
        skip_bad: Whether images that cannot be used are left out, or end it all.
        counts: Tiles of each image so far.
        skipped: Images that gave no tile, or not all: `file, why`.
        slides: Rows of the record's table "slides".
        overviews: Their pictures, JPEG.
    """

    archive: ArchiveWriter
    tallies: Mapping[str, SiteTally]
    sampling: Sampling
    key: bytes
    blind: bool
    skip_bad: bool
    counts: list[int] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    slides: list[dict[str, Any]] = field(default_factory=list)
    overviews: list[bytes] = field(default_factory=list)
    _seen: dict[str, str] = field(default_factory=dict)

    def take(self, image: Mapping[Any, Any], where: str, one: OpenedImage) -> None:
        """Takes one image's tiles.

        Args:
            image: Its row of the sources' table.
            where: What to call it.
            one: Itself.

        Raises:
            DataError: It cannot be used, and leaving such out was not asked for.
        """
        tally = self.tallies[image["site"]]
        tally.small_images += bool(one.made.small)
        row = self._row(image, one.mpp(tally.crop))
        odd, count = one.odd or self._twin(one.fingerprint, where), 0
        try:
            for tile in () if odd else one.tiles(tally.crop, self.sampling):
                self.archive.add(tile.png, {**row, "x": tile.x, "y": tile.y})
                count += 1
        except UnusableImageError as error:
            odd = f"{error}; {count} tile(s) were read before"
        if odd and not self.skip_bad:
            raise DataError(f"{where} {odd}: mend, replace or remove it, or leave such images out by --skip-bad.")
        if why := odd or ("" if count else _why_none(where, one, tally.site)):
            self.skipped.append({"file": image["source"], "why": why})
        if one.look and count:
            self.slides.append(slide_row(one.look, tally.site.name, row["identity"]))
            self.overviews.append(drawn(one.look, tally.crop.tile_px))
        self.counts.append(count)
        tally.add(image, count, one.size_px, is_slide=one.look is not None)

    def _row(self, image: Mapping[Any, Any], mpp: float | None) -> dict[str, Any]:
        """What an image's tiles have in common in the archive's manifest."""
        row = {name: image[name] for name in ("label", "patient", "case", "diagnosis", "site", "source")}
        row["mpp"] = mpp
        row["identity"] = identity(self.key, image["site"], image["number"]) if image["number"] else ""
        return {**row, "label": None, "diagnosis": ""} if self.blind else row

    def _twin(self, fingerprint: str, where: str) -> str:
        """Says of which image this one is a copy; '' = of none so far."""
        first = self._seen.setdefault(fingerprint, where) if fingerprint else where
        return "" if first == where else f"has the same content as {first}"


def _why_none(where: str, one: OpenedImage, site: Site) -> str:
    """Why a sound image gave no tile; raises where that was not agreed to."""
    if one.look:
        return f"none of its {len(one.look.squares):,} tissue tiles is within the reference band"
    if site.small == REFUSE:
        raise DataError(
            f"{where}: {one.made.small}; say what to do with those by --small {site.name}=resize (or pad, or skip)."
        )
    return one.made.small
