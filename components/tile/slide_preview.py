"""One image as `check` sees it: decoded to its end, measured, not cut."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from components.core.io.atomic_files import file_sha256
from components.tile.image_sources import ImageSource
from components.tile.images import UnusableImageError, open_rgb
from components.tile.sites import METADATA
from components.tile.slides import Slide, is_slide


@dataclass(frozen=True)
class Looked:
    """What an image is.

    Attributes:
        size: Width and height, pixels.
        slide: True for a whole slide.
        mpp: Micrometres per pixel that it says; None = none.
        magnification: The same for people, and where it stands.
        sure: False where that is the objective's power, or nowhere.
        odd: Why no tile can be cut from it; '' = they can.
        fingerprint: Equal for equal content; '' = unknown.
    """

    size: tuple[int, int] = (0, 0)
    slide: bool = False
    mpp: float | None = None
    magnification: str = ""
    sure: bool = True
    odd: str = ""
    fingerprint: str = ""


def look(scratch: Path, job: tuple[int, tuple[ImageSource, str]]) -> Looked:
    """Looks at an image of a place; what must be brought here for that lies in `scratch` meanwhile."""
    index, (place, file) = job
    own = scratch / str(index)
    try:
        path = place.bring(file, own)
        return _slide(path) if is_slide(path) else _field(path)
    except UnusableImageError as error:
        return Looked(odd=str(error))
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _field(path: Path) -> Looked:
    return Looked(open_rgb(path).size, magnification="no um/px", fingerprint=file_sha256(path))


def _slide(path: Path) -> Looked:
    slide = Slide(path)
    try:
        mpp, said_by = slide.magnification()
        said = f"{mpp:.4g} um/px ({said_by})" if mpp else "no um/px"
        return Looked(slide.size_px, True, mpp, said, said_by == METADATA, fingerprint=slide.fingerprint)
    finally:
        slide.close()
