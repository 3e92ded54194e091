"""Line charts as inline SVG, small enough for a page that is kept with every generator."""

import html
from collections.abc import Mapping, Sequence

import numpy as np

from components.core.figures.palette import colours

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 480, 230, 54, 14, 26, 34
Line = Sequence[tuple[float, float | None]]


def chart(title: str, lines: Mapping[str, Line], chosen_kimg: float) -> str:
    """Values over kimg, one line per name, with the chosen snapshot as a dashed vertical.

    Args:
        title: What is drawn.
        lines: Name -> points (kimg, value); points without a value are left out.
        chosen_kimg: Of the chosen snapshot.
    """
    known = {name: [(x, y) for x, y in line if y is not None] for name, line in lines.items()}
    values = [y for line in known.values() for _, y in line] or [0.0]
    low, high = min(0.0, *values), max(0.0, *values)
    high = high if high > low else low + 1
    last = max([x for line in lines.values() for x, _ in line], default=0.0) or 1.0  # of all, so that charts compare

    def at(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + x / last * (_WIDTH - _LEFT - _RIGHT)
        return round(across, 1), round(_TOP + (high - y) / (high - low) * (_HEIGHT - _TOP - _BOTTOM), 1)

    parts = [f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 2}" text-anchor="end">kimg</text>']
    for value in np.linspace(low, high, 5):
        y = at(0, value)[1]
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#e3e6ea"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{_short(value)}</text>')
    for kimg in np.linspace(0, last, 5):
        parts.append(f'<text x="{at(kimg, 0)[0]}" y="{_HEIGHT - 16}" text-anchor="middle">{kimg:.3g}</text>')
    x = at(chosen_kimg, 0)[0]
    parts.append(
        f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" stroke="#22272e" stroke-dasharray="4 3"/>'
    )
    left = float(_LEFT)
    for name, colour in colours(list(known)).items():
        points = [at(*point) for point in known[name]]
        path = " ".join(f"{across},{down}" for across, down in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts += [f'<circle cx="{across}" cy="{down}" r="2.6" fill="{colour}"/>' for across, down in points]
        parts.append(f'<text x="{left:.0f}" y="14" style="fill:{colour}">● {html.escape(name)}</text>')
        left += 28 + 6.4 * len(name)
    return (
        f'<figure><figcaption>{html.escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}">{"".join(parts)}</svg></figure>'
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
