"""Plotly figures as parts of one page that needs nothing from outside: the library once, then a fragment each."""

import html

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
INK, FAINT = "#22272e", "#e3e6ea"


def plotly_script() -> Markup:
    """The `<script>` element with plotly.js itself, about 5 MB: once per page, before every fragment."""
    return Markup(f"<script>{get_plotlyjs()}</script>")  # noqa: S704 - the library's own text


def escape_label(text: object) -> str:
    """Text that plotly shows unchanged, although it takes markup in labels."""
    return html.escape(str(text), quote=False)


def style_figure(figure: go.Figure, height_px: int) -> go.Figure:
    """The figure in the pages' quiet style."""
    figure.update_layout(
        template="simple_white",
        height=height_px,
        font={"family": FONT, "size": 13, "color": INK},
        margin={"l": 60, "r": 20, "t": 36, "b": 50},
        legend={"orientation": "h", "y": -0.22, "x": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="closest",
    )
    figure.update_xaxes(gridcolor=FAINT, showgrid=True, title_font_size=13)
    figure.update_yaxes(gridcolor=FAINT, showgrid=True, title_font_size=13)
    figure.update_annotations(font_size=13)
    return figure


def figure_html(figure: go.Figure, name: str) -> Markup:
    """The figure as a `<div>` with its script; `name` is the element's id and makes the output repeatable."""
    config = {"displayModeBar": False, "responsive": True}
    text = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=config)
    return Markup(text)  # noqa: S704 - plotly writes its values as JSON without "<"
