"""The interactive map of tiles: layouts and colours by button, the tile itself on hover.

The points' names are data: they travel as JSON and reach the page through `textContent`, never as markup.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from components.core.html.palette import colours
from components.core.html.render import render_part

# layout -> the point's coordinates
LAYOUTS = {
    "2-D": ("x", "y"),
    "2-D, fitted with synthetic": ("xs", "ys"),
    "3-D": ("x3", "y3", "z3"),
    "3-D, fitted with synthetic": ("xs3", "ys3", "zs3"),
}
COLOURINGS = ("domain", "class", "diagnosis", "patient", "arm")
_HERE = Path(__file__).parent


def embedding_html(points: Sequence[dict[str, Any]], name: str, layouts: Sequence[str] = tuple(LAYOUTS)) -> Markup:
    """The map as a fragment for a page that holds `plots.plotly_script()`.

    Args:
        points: Each with the coordinates of at least the first layout, the texts of COLOURINGS ('' = does not apply),
            `role` ("source", "external", "synthetic") and `tile`, a `data:` address.
        name: Id of the element.
        layouts: Names out of LAYOUTS; those that the points lack are left out.
    """
    if not points:
        return Markup("<p>No tiles to show.</p>")
    value = {
        "layouts": {
            layout: [[point[axis] for point in points] for axis in LAYOUTS[layout]]
            for layout in layouts
            if all(axis in points[0] for axis in LAYOUTS[layout])
        },
        "colourings": {key: _colouring(points, key) for key in COLOURINGS if any(point[key] for point in points)},
        "roles": [point["role"] for point in points],
        "tiles": [point["tile"] for point in points],
    }
    # the JSON never contains "<", so no text in it can end the script element
    data = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return render_part(
        __package__,
        "embedding.html.j2",
        name=name,
        data=Markup(data),  # noqa: S704
        style=_file("embedding.css"),
        script=_file("embedding.js"),
    )


def _file(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 - a file of ours


def _colouring(points: Sequence[dict[str, Any]], key: str) -> dict[str, Any]:
    names = sorted({point[key] for point in points if point[key]})
    colour_of = colours(names)
    index = {name: number for number, name in enumerate(names)}
    return {
        "names": names,
        "colours": [colour_of[name] for name in names],
        "index": [index.get(point[key], -1) for point in points],
    }
