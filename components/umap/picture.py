"""The 2-D map as a still picture, drawn without a browser: by domain and by class, side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from components.core.data.images import Pixels
from components.core.html.palette import colours
from components.umap.map_tiles import EXTERNAL, SYNTHETIC

PANEL_PX, MARGIN_PX, LEGEND_PX = 720, 48, 30
# Drawn larger and reduced: Pillow's own edges are hard.
SCALE = 3
INK, GREY, FRAME = "#22272e", "#b9bfc7", "#d9dde2"


def map_picture(points: Sequence[dict[str, Any]]) -> Pixels:
    """The map, [H, W, 3]. Filled dots are source tiles, diamonds external ones, rings synthetic ones.

    Args:
        points: Each with `x`, `y`, `role`, `domain`, `class`; with `xs`, `ys` a second row shows the map that is fitted
            with the synthetic tiles.
    """
    panels = [("by domain", "domain"), ("by class", "class")]
    fits = [("fitted on real tiles", ("x", "y")), ("fitted with synthetic tiles", ("xs", "ys"))]
    fits = [fit for fit in fits if points and fit[1][0] in points[0]]
    colour_of = {key: colours(sorted({point[key] for point in points if point[key]})) for _, key in panels}
    row = PANEL_PX + MARGIN_PX
    legend = MARGIN_PX + len(fits) * row
    height = legend + MARGIN_PX + LEGEND_PX * max(len(names) for names in colour_of.values()) + 16
    width = len(panels) * row + MARGIN_PX
    image = Image.new("RGB", (width * SCALE, height * SCALE), "white")
    draw = ImageDraw.Draw(image)
    for line, (fit, axes) in enumerate(fits):
        positions = _pixel_positions(points, axes)
        for column, (title, key) in enumerate(panels):
            marks = [
                (position, point["role"], colour_of[key].get(point[key], GREY))
                for position, point in zip(positions, points, strict=True)
            ]
            _panel(draw, MARGIN_PX + column * row, MARGIN_PX + line * row, f"{fit}, {title}", marks)
    for column, (_, key) in enumerate(panels):
        left = MARGIN_PX + column * row
        for line, (name, colour) in enumerate(colour_of[key].items()):
            top = legend + MARGIN_PX // 2 + LEGEND_PX * line
            role = next(point["role"] for point in points if point[key] == name) if key == "domain" else ""
            _mark(draw, left + 10, top, role, colour, 7)
            _text(draw, left + 28, top - 11, name, 18)
    return np.array(image.resize((width, height), Image.Resampling.LANCZOS))


def _pixel_positions(points: Sequence[dict[str, Any]], axes: Sequence[str]) -> npt.NDArray[np.float64]:
    """Coordinates within a panel in pixels, both axes at the same scale, [n, 2]."""
    xy = np.array([[point[axis] for axis in axes] for point in points], float).reshape(-1, 2)
    if not len(xy):
        return xy
    low, high = xy.min(axis=0), xy.max(axis=0)
    span = max((high - low).max(), 1e-9)
    inset = 24
    centred = (xy - (low + high) / 2) / span * (PANEL_PX - 2 * inset)
    positions: npt.NDArray[np.float64] = centred * [1, -1] + PANEL_PX / 2
    return positions


def _panel(draw: ImageDraw.ImageDraw, left: int, top: int, title: str, marks: list[tuple[Any, str, str]]) -> None:
    _text(draw, left, top - 36, title, 22)
    box = [left, top, left + PANEL_PX, top + PANEL_PX]
    draw.rectangle([side * SCALE for side in box], outline=FRAME, width=SCALE)
    for (x, y), role, colour in marks:
        _mark(draw, left + x, top + y, role, colour, 4.5)


def _mark(draw: ImageDraw.ImageDraw, x: float, y: float, role: str, colour: str, radius: float) -> None:
    x, y, radius = x * SCALE, y * SCALE, radius * SCALE
    box = [x - radius, y - radius, x + radius, y + radius]
    if role == SYNTHETIC:
        draw.ellipse(box, outline=colour, width=round(1.5 * SCALE))
    elif role == EXTERNAL:
        reach = radius * 1.2
        draw.polygon([(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)], fill=colour)
    else:
        draw.ellipse(box, fill=colour)


def _text(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, size: int) -> None:
    draw.text((x * SCALE, y * SCALE), text, fill=INK, font=ImageFont.load_default(size * SCALE))
