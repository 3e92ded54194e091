"""The training as one HTML page: what it drew over time, and its curves."""

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from components.core.archive import Pixels
from components.core.figures.palette import colours
from components.core.figures.pictures import data_uri

Rows = Sequence[dict[str, Any]]

_GRIDS, _GRID_PX = 7, 1024  # grids shown at most, and their width at most: the full ones lie in the folder
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 220, 46, 12, 26, 26
_CHARTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("Losses", {"loss_g": "generator", "loss_d": "discriminator"}),
    ("Discriminator's scores", {"score_real": "real", "score_fake": "generated"}),
    ("R1 penalty", {"r1_penalty": "R1"}),
    ("Path length", {"path_length": "length"}),
    ("Augmentation", {"augment_p": "p", "sign_real": "r_t"}),
    ("Recall of thumbnails", {"recall": "recall"}),
)
_FACTS = (
    ("Training", "kimg", "{:g} kimg"),
    ("Tiles", "tiles", "{}"),
    ("Resolution", "resolution", "{} px"),
    ("Batch", "batch", "{}"),
    ("R1 gamma", "gamma", "{:.4g}"),
    ("Augmentation", "augment", "{}"),
    ("Precision", "precision", "{}"),
    ("Learning rate", "learning_rate", "{:g}"),
    ("Parameters of the generator", "parameters_g", "{:,}"),
    ("Parameters of the discriminator", "parameters_d", "{:,}"),
    ("Device", "device", "{}"),
    ("Time", "sec_per_kimg", "{:.3g} s per kimg"),
    ("Seed", "seed", "{}"),
)
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2730; max-width: 1000px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
p, figcaption { color: #55636f } figure { margin: 0 0 1.2rem } table { border-collapse: collapse }
td { padding: .1rem 1.2rem .1rem 0 } td:first-child { color: #55636f }
figure.grid img { width: 100%; border-radius: 4px } img.small { image-rendering: pixelated }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 1rem }
svg { width: 100%; font: 11px system-ui, sans-serif } svg text { fill: #55636f }
"""


def draw_page(
    title: str,
    record: dict[str, Any],
    classes: Sequence[str],
    reals: Pixels,
    fakes: Sequence[tuple[float, Pixels]],
    ticks: Rows,
) -> str:
    """The page.

    Args:
        title: Its heading.
        record: The stage's record.
        classes: Names in the order of the grids' rows; empty = unconditional.
        reals: Grid of training tiles.
        fakes: kimg and grid of each snapshot.
        ticks: Rows of the statistics.
    """
    rows = "".join(
        f"<tr><td>{label}</td><td>{html.escape(form.format(record[key]))}</td></tr>" for label, key, form in _FACTS
    )
    stopped = f"<p><strong>Ended early.</strong> {html.escape(record['stopped'])}</p>" if record["stopped"] else ""
    order = f"Classes from the top row down: {', '.join(classes)}. " if classes else ""
    shown = sorted({round(place) for place in np.linspace(0, len(fakes) - 1, min(_GRIDS, len(fakes)))}, reverse=True)
    grids = "".join(_figure(fakes[place][1], f"generated after {fakes[place][0]:g} kimg") for place in shown)
    charts = "".join(_chart(name, series, ticks) for name, series in _CHARTS)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>"
        f"{stopped}<p>{html.escape(order)}The latents are the same in every grid of generated tiles.</p>"
        f'<table>{rows}</table><h2>Curves</h2><div class="charts">{charts}</div>'
        f"<h2>Tiles</h2>{_figure(reals, 'training tiles')}{grids}</html>\n"
    )


def _figure(grid: Pixels, caption: str) -> str:
    image = Image.fromarray(grid)
    small = image.width <= _GRID_PX
    if not small:
        image = image.resize((_GRID_PX, round(image.height * _GRID_PX / image.width)), Image.Resampling.LANCZOS)
    return (
        f'<figure class="grid"><img{" class=small" if small else ""} alt="{caption}" src="{data_uri(np.array(image))}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _chart(name: str, series: dict[str, str], ticks: Rows) -> str:
    points = {key: [(row["kimg"], row[key]) for row in ticks if row[key] is not None] for key in series}
    values = [value for line in points.values() for _, value in line]
    levels, times = _axis(min(0.0, *values), max(0.0, *values)), _axis(0.0, max(row["kimg"] for row in ticks))

    def x(kimg: float) -> float:
        return _LEFT + kimg / times[-1] * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (levels[-1] - value) / (levels[-1] - levels[0]) * (_HEIGHT - _TOP - _BOTTOM)

    parts, palette = [], colours(list(series.values()))
    for value in levels:
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#e3e8ec"/>'
            f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for kimg in times:
        unit = " kimg" if kimg == times[-1] else ""
        anchor = "end" if unit else "middle"
        parts.append(f'<text x="{x(kimg):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{kimg:g}{unit}</text>')
    for place, (key, label) in enumerate(series.items()):
        colour, left = palette[label], _LEFT + 6 + 110 * place
        line = " ".join(f"{x(kimg):.1f},{y(value):.1f}" for kimg, value in points[key])
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
            f'<circle cx="{left}" cy="8" r="4" fill="{colour}"/><text x="{left + 8}" y="12">{label}</text>'
        )
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{name}">{"".join(parts)}</svg>'
        f"<figcaption>{name}</figcaption></figure>"
    )


def _axis(low: float, high: float) -> list[float]:
    """Round numbers that span low to high in about four steps."""
    span = (high - low) or 1.0
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power * 5 >= span)
    return [step * place for place in range(math.floor(low / step), max(math.ceil(high / step), 1) + 1)]
