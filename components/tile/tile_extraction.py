"""One image on its way to tiles: a field is fetched and cut at once, a slide is cut as its tiles are read."""

import shutil
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from components.core.io.atomic_files import file_sha256
from components.core.runtime.prefetch import prefetch_map
from components.tile.coords import Crop, FieldTiles, Tile, cut_field
from components.tile.image_sources import ImageSource
from components.tile.images import UnusableImageError, open_rgb
from components.tile.sampling import SlidePlan, SlideSampling, plan_slide, read_small_slide, read_tiles
from components.tile.slide_reader import find_format
from components.tile.slides import Slide


@dataclass(frozen=True)
class OpenedImage:
    """An image that was read, or the reason why it cannot be.

    Attributes:
        field_tiles: A field's tiles.
        slide_plan: A slide whose tiles are still to be read; None for a field.
        size_px: Width and height of the image, pixels.
        reject_reason: Why no tile can be cut from it, as the end of a sentence; '' = they can.
        fingerprint: Text that is equal for equal content.
    """

    field_tiles: FieldTiles = field(default_factory=FieldTiles)
    slide_plan: SlidePlan | None = None
    size_px: tuple[int, int] = (0, 0)
    reject_reason: str = ""
    fingerprint: str = ""

    def tiles(self, crop: Crop, sampling: SlideSampling) -> Iterator[Tile]:
        """Its tiles; a slide's are read now, and UnusableImageError ends them where it is damaged."""
        return read_tiles(self.slide_plan, crop, sampling) if self.slide_plan else iter(self.field_tiles.tiles)

    def mpp(self, crop: Crop) -> float | None:
        """Micrometres per pixel of its tiles; None = unknown."""
        if self.slide_plan and crop.mpp:
            return crop.mpp * crop.tile_px / crop.resolution
        return self.field_tiles.mpp


def open_images(
    sources: Sequence[ImageSource],
    images: Sequence[dict[Any, Any]],
    crops: dict[str, Crop],
    sampling: SlideSampling,
    scratch: Path,
) -> Generator[OpenedImage]:
    """Every image in order, opened on all cores a few ahead; copies are removed once an image is done.

    Close the generator before `scratch` is removed: it waits for threads that still write there.
    """
    jobs = enumerate(images)
    for index, opened in enumerate(prefetch_map(partial(_open_image, sources, crops, sampling, scratch), jobs)):
        try:
            yield opened
        finally:
            if opened.slide_plan:
                opened.slide_plan.slide.close()
            shutil.rmtree(scratch / str(index), ignore_errors=True)


def _open_image(
    sources: Sequence[ImageSource],
    crops: dict[str, Crop],
    sampling: SlideSampling,
    scratch: Path,
    job: tuple[int, dict[Any, Any]],
) -> OpenedImage:
    index, image = job
    crop = crops[image["site"]]
    try:
        path = sources[image["source_index"]].fetch(image["file"], scratch / str(index))
        if slide_format := find_format(path):
            return _open_slide(
                Slide(slide_format.open_reader(path)), crop, sampling, f"{image['site']}/{image['source']}"
            )
        if crop.metadata:
            raise UnusableImageError("is not a slide with um/px of its own (state its site's by --mpp SITE=0.5)")
        field_image = open_rgb(path)
        return OpenedImage(cut_field(field_image, crop), size_px=field_image.size, fingerprint=file_sha256(path))
    except UnusableImageError as error:
        return OpenedImage(reject_reason=str(error))


def _open_slide(slide: Slide, crop: Crop, sampling: SlideSampling, name: str) -> OpenedImage:
    try:
        if small := read_small_slide(slide, crop):
            slide.close()
            tiles = cut_field(small, replace(crop, source_mpp=crop.mpp))
            return OpenedImage(tiles, size_px=slide.size_px, fingerprint=slide.fingerprint)
        plan = plan_slide(slide, crop, sampling, name)
        return OpenedImage(slide_plan=plan, size_px=slide.size_px, fingerprint=slide.fingerprint)
    except BaseException:
        slide.close()
        raise
