"""The training as one HTML page: what it drew over time, and its curves."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from components.core.data.archive import Pixels
from components.core.html.css import PAGE_CSS
from components.core.html.lines import line_chart
from components.core.html.pictures import data_uri

Rows = Sequence[dict[str, Any]]

_GRIDS, _GRID_PX = 7, 1024  # grids shown at most, and their width at most: the full ones lie in the folder
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
figure.grid { margin: 0 0 1.2rem } figure.grid img { width: 100%; border-radius: 4px }
figure.grid figcaption { color: var(--soft) } img.small { image-rendering: pixelated }
td:first-child { color: var(--soft) }
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
    charts = "".join(
        line_chart(name, {said: [(row["kimg"], row[key]) for row in ticks] for key, said in series.items()}, "kimg")
        for name, series in _CHARTS
    )
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{PAGE_CSS}{_STYLE}</style><body><main><h1>{html.escape(title)}</h1>"
        f"{stopped}<p>{html.escape(order)}The latents are the same in every grid of generated tiles.</p>"
        f'<table>{rows}</table><h2>Curves</h2><div class="charts">{charts}</div>'
        f"<h2>Tiles</h2>{_figure(reals, 'training tiles')}{grids}</main></body></html>\n"
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
