"""One image on its way to tiles: a field is brought here and cut at once, a slide cut as its tiles are taken."""

import shutil
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from components.core.io.atomic_files import file_sha256
from components.core.runtime.prefetch import prefetch_map
from components.tile.coords import Crop, Tile, Tiles, cut
from components.tile.image_sources import ImageSource
from components.tile.images import UnusableImageError, open_rgb
from components.tile.sampling import Sampling, SlidePlan, looked_at, tiles_of, whole
from components.tile.slides import Slide, is_slide


@dataclass(frozen=True)
class OpenedImage:
    """An image that was looked at.

    Attributes:
        made: A field's tiles.
        look: A slide that they are still to be taken from.
        size_px: Its own width and height.
        odd: Why no tile can be cut from it; '' = they can.
        fingerprint: Equal for equal content.
    """

    made: Tiles = field(default_factory=Tiles)
    look: SlidePlan | None = None
    size_px: tuple[int, int] = (0, 0)
    odd: str = ""
    fingerprint: str = ""

    def tiles(self, crop: Crop, sampling: Sampling) -> Iterator[Tile]:
        """Its tiles; a slide's are read now, and OddImageError ends them where it is damaged."""
        return tiles_of(self.look, crop, sampling) if self.look else iter(self.made.tiles)

    def mpp(self, crop: Crop) -> float | None:
        """Micrometres per pixel of its tiles; None = unknown."""
        return crop.mpp * crop.tile_px / crop.resolution if self.look and crop.mpp else self.made.mpp


def open_images(
    places: Sequence[ImageSource],
    images: Sequence[dict[Any, Any]],
    crops: dict[str, Crop],
    sampling: Sampling,
    scratch: Path,
) -> Generator[OpenedImage]:
    """Every image in order, looked at on all cores a few ahead; what was copied here for one goes when it is done.

    Close it before `scratch` goes: it waits for those who still write there.
    """
    jobs = enumerate(images)
    for index, one in enumerate(prefetch_map(partial(_begin, places, crops, sampling, scratch), jobs)):
        try:
            yield one
        finally:
            if one.look:
                one.look.slide.close()
            shutil.rmtree(scratch / str(index), ignore_errors=True)


def _begin(
    places: Sequence[ImageSource],
    crops: dict[str, Crop],
    sampling: Sampling,
    scratch: Path,
    job: tuple[int, dict[Any, Any]],
) -> OpenedImage:
    index, image = job
    crop = crops[image["site"]]
    try:
        path = places[image["place"]].bring(image["file"], scratch / str(index))
        if is_slide(path):
            return _slide(Slide(path), crop, sampling, f"{image['site']}/{image['source']}")
        if crop.metadata:
            raise UnusableImageError("is no slide that says its um/px (state its site's by --mpp SITE=0.5)")
        field_image = open_rgb(path)
        return OpenedImage(cut(field_image, crop), size_px=field_image.size, fingerprint=file_sha256(path))
    except UnusableImageError as error:
        return OpenedImage(odd=str(error))


def _slide(slide: Slide, crop: Crop, sampling: Sampling, name: str) -> OpenedImage:
    try:
        if small := whole(slide, crop):
            slide.close()
            return OpenedImage(
                cut(small, replace(crop, source_mpp=crop.mpp)), size_px=slide.size_px, fingerprint=slide.fingerprint
            )
        look = looked_at(slide, crop, sampling, name)
        return OpenedImage(look=look, size_px=slide.size_px, fingerprint=slide.fingerprint)
    except BaseException:
        slide.close()
        raise
