"""Pages from Jinja templates: a stage's `page.html.j2` extends `base.html.j2` and draws with `macros.html.j2`.

A stage writes two files. Its template:

    {% extends "base.html.j2" %}
    {% from "macros.html.j2" import note, section, table %}
    {% block style %}.sheet { display: flex; }{% endblock %}
    {% block main %}
    <h1>{{ title }}</h1>
    {% for text in notes %}{{ note(text, "bad") }}{% endfor %}
    {% call section("Arms") %}{{ table(["arm", "tiles"], arms) }}{% endcall %}
    {{ chart }}
    {% endblock %}

and in its `page.py` the values: plain text and numbers, rows of cells (`table.py`), finished parts as `Markup`:

    def page_html(record: PackRecord) -> str:
        arms = [[row.arm, row.tiles] for row in record.arms]
        return render_page(__package__, "page.html.j2", title="Tiles", notes=[], arms=arms, chart=line_chart(…))

Everything that is not `Markup` is escaped. A name that the template uses and the context lacks is an error.
"""

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from components.core.html import number_format
from components.core.html.css import PAGE_CSS
from components.core.html.markdown import markdown_text
from components.core.html.table import as_cell, as_rows, columns_of_numbers


def render_page(package: str, template: str, **context: Any) -> str:
    """A template of a stage, rendered.

    Args:
        package: The package whose folder holds the template: the caller's `__package__`.
        template: File name of the template; it may extend and import those of `components/core/html`.
        **context: Values that the template names. `title` is the page's title.
    """
    return _environment(package).get_template(template).render(**context)


def render_part(package: str, template: str, **context: Any) -> Markup:
    """The same for a template that gives a part of a page, to be put into another."""
    return Markup(render_page(package, template, **context))  # noqa: S704 - escaped by the template


@cache
def _environment(package: str) -> Environment:
    folders = [str(files(package)), str(files(__package__))]
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"page_css": PAGE_CSS}
    environment.filters |= {
        "as_cell": as_cell,
        "as_rows": as_rows,
        "columns_of_numbers": columns_of_numbers,
        "difference": number_format.difference,
        "duration": number_format.duration,
        "fraction": number_format.fraction,
        "integer": number_format.integer,
        "markdown": markdown_text,
        "p_value": number_format.p_value,
        "percent": number_format.percent,
        "significant": number_format.significant,
    }
    return environment
