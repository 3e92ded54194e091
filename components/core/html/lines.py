"""Line charts as inline SVG: small enough for a page that is kept with every artifact, and no script."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from components.core.html.palette import colours
from components.core.html.render import render_part

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 480, 230, 54, 14, 26, 24
_ROUND, _STEPS = (1, 2, 2.5, 5, 10), 5
Line = Sequence[tuple[float, float | None]]


def line_chart(title: str, lines: Mapping[str, Line], unit: str, *, chosen: float | None = None) -> Markup:
    """Values over a training, a line per name; both axes contain zero and have round numbers.

    Args:
        title: Caption of the chart.
        lines: Name -> points (x, value); points without a value are left out, and still count for the length of x,
            so that charts of one training share it.
        unit: Unit of x.
        chosen: Position of a dashed vertical line on x; None = no line.
    """
    known = {name: [(x, y) for x, y in line if y is not None] for name, line in lines.items()}
    values = [y for line in known.values() for _, y in line]
    levels = _axis(min(0.0, *values, 0.0), max(0.0, *values, 0.0))
    last = max([x for line in lines.values() for x, _ in line], default=0.0) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + x / last * (_WIDTH - _LEFT - _RIGHT)
        down = _TOP + (levels[-1] - y) / (levels[-1] - levels[0]) * (_HEIGHT - _TOP - _BOTTOM)
        return round(across, 1), round(down, 1)

    left, legend = float(_LEFT), list[dict[str, Any]]()
    for name, colour in colours(list(known)).items():
        points = [at(*point) for point in known[name]]
        legend.append({"name": name, "colour": colour, "left": round(left), "points": points})
        left += 28 + 6.4 * len(name)
    return render_part(
        __package__,
        "line_chart.html.j2",
        title=title,
        size=(_WIDTH, _HEIGHT),
        frame={"left": _LEFT, "right": _WIDTH - _RIGHT, "top": _TOP, "bottom": _HEIGHT - _BOTTOM},
        levels=[(at(0, value)[1], f"{value:.10g}") for value in levels],
        # the unit is at the end
        ticks=[(at(x, 0)[0], f"{x:.10g}") for x in _axis(0.0, last) if x < 0.93 * last],
        end=f"{last:.4g} {unit}",
        chosen=None if chosen is None else at(chosen, 0)[0],
        lines=legend,
        with_dots=[line["name"] for line in legend if len(line["points"]) <= _WIDTH / 16],
    )


def _axis(low: float, high: float) -> list[float]:
    """Round numbers that span low to high in a few steps."""
    span = (high - low) or 1.0
    power = 10 ** math.floor(math.log10(span / (_STEPS - 1)))
    step = next(factor * power for factor in _ROUND if factor * power * _STEPS >= span)
    return [step * number for number in range(math.floor(low / step), max(math.ceil(high / step), 1) + 1)]
