"""The page: the interactive map and the table of the domain gap."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from components.core.features.extractors import Extractor
from components.core.html.embedding import embedding_html
from components.core.html.gap_table import gap_table
from components.core.html.plots import plotly_script
from components.core.html.render import render_page

TITLE = "Domains and synthetic tiles"


def page_html(points: Sequence[dict[str, Any]], gap: pd.DataFrame, extractor: Extractor) -> str:
    """The page as HTML.

    Args:
        points: A point per tile, as `embedding_html` takes them.
        gap: Rows of `domain_gap.csv`.
        extractor: The network behind the features.
    """
    return render_page(
        __package__,
        "page.html.j2",
        title=TITLE,
        plotly=plotly_script(),
        tiles=len(points),
        extractor=extractor.title,
        trained=extractor.trained,
        map=embedding_html(points, "umap"),
        gap=gap_table(gap),
    )
