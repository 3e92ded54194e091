"""Pictures of slides with their tiles marked."""

import io

from PIL import ImageDraw

from components.tile.sampling import SlidePlan

TAKEN_COLOUR, REFUSED_COLOUR = "#0072B2", "#D55E00"
_LONGER_SIDE_PX, _QUALITY, _MIN_SIDE_WITH_HALO_PX = 720, 80, 16


def overview_jpeg(plan: SlidePlan, tile_px: int) -> bytes:
    """A JPEG of the slide: tiles that were taken in blue, those that the filter refused in orange.

    Args:
        plan: A slide whose tiles were read.
        tile_px: Side of a tile, pixels at the wanted um/px.
    """
    picture = plan.overview.copy()
    picture.thumbnail((_LONGER_SIDE_PX, _LONGER_SIDE_PX))
    side = plan.side * picture.width / plan.overview.width
    pen = ImageDraw.Draw(picture)
    for squares, colour in ((plan.refused, REFUSED_COLOUR), (plan.taken, TAKEN_COLOUR)):
        for left, top in ((x / tile_px * side, y / tile_px * side) for x, y in squares):
            box, wide = (left, top, left + side - 1, top + side - 1), side > _MIN_SIDE_WITH_HALO_PX
            if wide:
                pen.rectangle(box, outline="white", width=5)
            pen.rectangle(box, outline=colour, width=3 if wide else 1)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
