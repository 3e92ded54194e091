"""The HTML page and the short Markdown, from one context."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from components.core.html.plots import plotly_script
from components.core.html.render import render_page

_CSS = Path(__file__).parent / "report.css"


def page_html(context: dict[str, Any]) -> str:
    """The HTML page.

    Args:
        context: Names that `page.html.j2` uses.
    """
    css = Markup(_CSS.read_text(encoding="utf-8"))  # noqa: S704 - a file of ours
    return render_page(__package__, "page.html.j2", css=css, plotly=plotly_script(), **context)


def summary_markdown(context: dict[str, Any]) -> str:
    """The short Markdown.

    Args:
        context: Names that `summary.md.j2` uses.
    """
    return render_page(__package__, "summary.md.j2", **context)
