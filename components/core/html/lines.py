"""Line charts as inline SVG: small enough for a page that is kept with every artifact, and no script."""

import html
import math
from collections.abc import Mapping, Sequence

from components.core.html.palette import colours

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 480, 230, 54, 14, 26, 24
_ROUND, _STEPS = (1, 2, 2.5, 5, 10), 5
Line = Sequence[tuple[float, float | None]]


def line_chart(title: str, lines: Mapping[str, Line], unit: str, *, chosen: float | None = None) -> str:
    """Values in the order of a training, one line per name; both axes hold zero and have round numbers.

    Args:
        title: What is drawn.
        lines: Name -> points (x, value); points without a value are left out, and still count for the length of x,
            so that charts of one training share it.
        unit: Of x.
        chosen: Where a dashed vertical stands.
    """
    known = {name: [(x, y) for x, y in line if y is not None] for name, line in lines.items()}
    values = [y for line in known.values() for _, y in line]
    levels = _axis(min(0.0, *values, 0.0), max(0.0, *values, 0.0))
    last = max([x for line in lines.values() for x, _ in line], default=0.0) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + x / last * (_WIDTH - _LEFT - _RIGHT)
        down = _TOP + (levels[-1] - y) / (levels[-1] - levels[0]) * (_HEIGHT - _TOP - _BOTTOM)
        return round(across, 1), round(down, 1)

    parts = []
    for value in levels:
        y = at(0, value)[1]
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#e3e6ea"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.10g}</text>')
    for x in _axis(0.0, last):
        if x < 0.93 * last:  # the unit stands at the end
            parts.append(f'<text x="{at(x, 0)[0]}" y="{_HEIGHT - 6}" text-anchor="middle">{x:.10g}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{last:.4g} {unit}</text>')
    if chosen is not None:
        x = at(chosen, 0)[0]
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="#22272e" stroke-dasharray="4 3"/>'
        )
    left = float(_LEFT)
    for name, colour in colours(list(known)).items():
        points = [at(*point) for point in known[name]]
        path = " ".join(f"{across},{down}" for across, down in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.7"/>')
        if len(points) <= _WIDTH / 16:
            parts += [f'<circle cx="{across}" cy="{down}" r="2.4" fill="{colour}"/>' for across, down in points]
        parts.append(f'<text x="{left:.0f}" y="14" style="fill:{colour}">● {html.escape(name)}</text>')
        left += 28 + 6.4 * len(name)
    return (
        f'<figure class="chart"><figcaption>{html.escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" aria-label="{html.escape(title)}">{"".join(parts)}</svg></figure>'
    )


def _axis(low: float, high: float) -> list[float]:
    """Round numbers that span low to high in a few steps."""
    span = (high - low) or 1.0
    power = 10 ** math.floor(math.log10(span / (_STEPS - 1)))
    step = next(factor * power for factor in _ROUND if factor * power * _STEPS >= span)
    return [step * place for place in range(math.floor(low / step), max(math.ceil(high / step), 1) + 1)]
