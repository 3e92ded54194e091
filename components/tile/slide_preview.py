"""One image as `check` reports it: decoded to its end and measured, not cut."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from components.core.io.atomic_files import file_sha256
from components.tile.image_sources import ImageSource
from components.tile.images import UnusableImageError, open_rgb
from components.tile.sites import METADATA
from components.tile.slide_reader import SlideFormat, find_format
from components.tile.slides import Slide


@dataclass(frozen=True)
class ImagePreview:
    """What is known of an image before it is cut.

    Attributes:
        size: Width and height, pixels.
        is_slide: True for a whole slide.
        mpp: Micrometres per pixel in its metadata; None = unknown.
        magnification: The same in words, with its origin.
        from_metadata: False where the um/px is derived from the objective's power, or unknown.
        reject_reason: Why no tile can be cut from it, as the end of a sentence; '' = they can.
        fingerprint: Text that is equal for equal content; '' = unknown.
    """

    size: tuple[int, int] = (0, 0)
    is_slide: bool = False
    mpp: float | None = None
    magnification: str = ""
    from_metadata: bool = True
    reject_reason: str = ""
    fingerprint: str = ""


def preview_image(scratch: Path, job: tuple[int, tuple[ImageSource, str]]) -> ImagePreview:
    """The preview of an image of a source; where a copy is needed, it is in `scratch` meanwhile."""
    index, (source, file) = job
    folder = scratch / str(index)
    try:
        path = source.fetch(file, folder)
        slide_format = find_format(path)
        return _preview_slide(slide_format, path) if slide_format else _preview_field(path)
    except UnusableImageError as error:
        return ImagePreview(reject_reason=str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _preview_field(path: Path) -> ImagePreview:
    return ImagePreview(open_rgb(path).size, magnification="no um/px", fingerprint=file_sha256(path))


def _preview_slide(slide_format: SlideFormat, path: Path) -> ImagePreview:
    slide = Slide(slide_format.open_reader(path))
    try:
        mpp, origin = slide.magnification()
        text = f"{mpp:.4g} um/px ({origin})" if mpp else "no um/px"
        return ImagePreview(slide.size_px, True, mpp, text, origin == METADATA, fingerprint=slide.fingerprint)
    finally:
        slide.close()
