"""The 2-D map as a still picture, drawn without a browser: by domain and by class, side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from components.core.archive import Pixels
from components.core.figures.palette import colours
from components.umap.domains import EXTERNAL, SYNTHETIC

PANEL_PX, MARGIN_PX, LEGEND_PX = 720, 48, 30
# Drawn larger and reduced: Pillow's own edges are hard.
SCALE = 3
INK, GREY, FRAME = "#22272e", "#b9bfc7", "#d9dde2"


def map_picture(points: Sequence[dict[str, Any]]) -> Pixels:
    """The map, [H, W, 3]. Filled dots are source tiles, diamonds external ones, rings synthetic ones.

    Args:
        points: Each with `x`, `y`, `role`, `domain`, `class`.
    """
    panels = [("by domain", "domain"), ("by class", "class")]
    named = {key: colours(sorted({point[key] for point in points if point[key]})) for _, key in panels}
    lines = max(len(names) for names in named.values())
    height = PANEL_PX + 2 * MARGIN_PX + LEGEND_PX * lines + 16
    width = len(panels) * (PANEL_PX + MARGIN_PX) + MARGIN_PX
    image = Image.new("RGB", (width * SCALE, height * SCALE), "white")
    draw = ImageDraw.Draw(image)
    places = _placed(points)
    for column, (title, key) in enumerate(panels):
        left = MARGIN_PX + column * (PANEL_PX + MARGIN_PX)
        _panel(
            draw,
            left,
            title,
            [
                (place, point["role"], named[key].get(point[key], GREY))
                for place, point in zip(places, points, strict=True)
            ],
        )
        for line, (name, colour) in enumerate(named[key].items()):
            top = PANEL_PX + 2 * MARGIN_PX + LEGEND_PX * line
            role = next(point["role"] for point in points if point[key] == name) if key == "domain" else ""
            _mark(draw, left + 10, top, role, colour, 7)
            _text(draw, left + 28, top - 11, name, 18)
    return np.array(image.resize((width, height), Image.Resampling.LANCZOS))


def _placed(points: Sequence[dict[str, Any]]) -> np.ndarray:
    """Coordinates within a panel in pixels, both axes at the same scale, [n, 2]."""
    xy = np.array([[point["x"], point["y"]] for point in points], float).reshape(-1, 2)
    if not len(xy):
        return xy
    low, high = xy.min(axis=0), xy.max(axis=0)
    span = max((high - low).max(), 1e-9)
    inset = 24
    centred = (xy - (low + high) / 2) / span * (PANEL_PX - 2 * inset)
    return centred * [1, -1] + PANEL_PX / 2


def _panel(draw: ImageDraw.ImageDraw, left: int, title: str, marks: list[tuple[Any, str, str]]) -> None:
    _text(draw, left, 12, title, 22)
    box = [left, MARGIN_PX, left + PANEL_PX, MARGIN_PX + PANEL_PX]
    draw.rectangle([side * SCALE for side in box], outline=FRAME, width=SCALE)
    for (x, y), role, colour in marks:
        _mark(draw, left + x, MARGIN_PX + y, role, colour, 4.5)


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
