"""Pages from templates: what is escaped, how cells are written, what a missing name does."""

import re

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from components.core.html.lines import line_chart
from components.core.html.plots import plotly_script
from components.core.html.render import render_page, render_part
from components.core.html.table import Cell, TableRow

MACROS = '{% from "macros.html.j2" import definition_list, figure, marks, note, section, table %}'


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A stage's folder whose `page.html.j2` the test writes."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"stage_{tmp_path.name}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")

    def write(text: str) -> str:
        (tmp_path / name / "page.html.j2").write_text(text)
        return name

    return write


def test_a_page_has_the_common_style_and_escapes_what_is_not_markup(package):
    name = package('{% extends "base.html.j2" %}{% block main %}{{ text }}{{ part }}{% endblock %}')
    page = render_page(name, "page.html.j2", title="a < b", text="<i>", part=Markup("<b>bold</b>"))
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert "<title>a &lt; b</title>" in page and "&lt;i&gt;<b>bold</b>" in page
    assert ":root { --ink" in page and "http" not in page


def test_plotly_is_part_of_the_page(package):
    name = package('{% extends "base.html.j2" %}{% block head %}{{ plotly }}{% endblock %}')
    page = render_page(name, "page.html.j2", title="t", plotly=plotly_script())
    assert 'src="http' not in page and len(page) > 1_000_000


def test_a_name_that_the_context_lacks_is_an_error(package):
    with pytest.raises(UndefinedError, match="missing"):
        render_page(package("{{ missing }}"), "page.html.j2", title="t")


def test_cells_are_written_by_their_type(package):
    name = package(MACROS + '{{ table(["site", "tiles", "FID", "ok"], rows, "wide", "sites") }}')
    marked = Cell("7", "± 1", marks=["old"])
    rows = [
        ["<A>", 1234, 0.12345, True],
        TableRow(["B", None, marked, False], "chosen", [("arm", "x")]),
    ]
    page = render_part(name, "page.html.j2", rows=rows)
    assert '<table class="wide" id="sites">' in page
    assert re.findall(r"<th scope=\"col\"( class=\"number\")?>(\w+)</th>", page) == [
        ("", "site"),
        (' class="number"', "tiles"),
        (' class="number"', "FID"),
        ("", "ok"),
    ]
    assert '<th scope="row">&lt;A&gt;</th><td class="number">1,234</td><td class="number">0.123</td>' in page
    assert "<td>yes</td></tr>" in page
    assert '<tr class="chosen" data-arm="x"><th scope="row">B</th><td class="number">–</td>' in page
    assert '<td class="number">7<span class="mark">old</span><br><span class="interval">± 1</span></td>' in page
    assert "<td>no</td></tr>" in page


def test_parts_of_a_page(package):
    name = package(
        MACROS
        + '{% call section("Arms <", "arms") %}{{ note("careful", "bad") }}{% endcall %}'
        + '{{ definition_list({"Seed": 3, "Device": none}) }}{{ figure("data:image/png;base64,AA", "tiles") }}'
    )
    page = render_part(name, "page.html.j2")
    assert '<section id="arms"><h2>Arms &lt;</h2>' in page and '<p class="bad">careful</p>' in page
    assert "<dt>Seed</dt><dd>3</dd>" in page and "<dt>Device</dt><dd>–</dd>" in page
    assert 'src="data:image/png;base64,AA" alt="tiles"><figcaption>tiles</figcaption></figure>' in page


def test_a_chart_escapes_names_and_keeps_points():
    chart = line_chart("<t>", {"a&b": [(0, 1.0), (10, None), (20, 3.0)]}, "kimg", chosen=10)
    assert isinstance(chart, Markup)
    assert "<figcaption>&lt;t&gt;</figcaption>" in chart and "● a&amp;b" in chart and "20 kimg" in chart
    assert chart.count("<circle") == 2 and chart.count("stroke-dasharray") == 1
