"""The templates: everything is escaped but what the page's template itself calls safe, our own finished HTML."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.core.html.css import PAGE_CSS
from components.core.html.number_format import fraction, significant
from components.core.html.plots import plotly_script

_HERE = Path(__file__).parent


def page_html(context: dict[str, Any]) -> str:
    """The HTML page."""
    css = PAGE_CSS + (_HERE / "report.css").read_text(encoding="utf-8")
    return _environment().get_template("page.html.j2").render(**context, css=css, plotly=plotly_script())


def summary_markdown(context: dict[str, Any]) -> str:
    """The short Markdown."""
    return _environment().get_template("summary.md.j2").render(**context)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def markdown_text(text: object) -> str:
    """Text whose signs mean nothing to Markdown, in a table too; what is HTML the template escapes."""
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", str(text).replace("\n", " "))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"significant": significant, "duration": duration, "md": markdown_text, "fraction": fraction}
    return environment
