import pandas as pd
import plotly.graph_objects as go

from components.core.html.gap_table import gap_table
from components.core.html.number_format import significant
from components.core.html.plots import escape_label, figure_html, style_figure


def row(**changes):
    return {
        "source": "A",
        "target": "B",
        "metric": "KID",
        "value": 0.25,
        "low": 0.125,
        "high": 0.5,
        "with_arm": "",
        "gap": "",
        **changes,
    }


def test_gap_table_has_a_column_for_each_arm_and_says_what_changed():
    rows = [row(), row(with_arm="bi100", value=0.0625, gap="fell"), row(with_arm="mc", value=0.75, gap="rose")]
    rows += [row(metric="AUC"), row(metric="AUC", with_arm="mc", gap="not shown")]
    page = gap_table(pd.DataFrame(rows))
    assert page.index("source alone") < page.index("+ bi100") < page.index("+ mc")
    assert page.count("gap fell") == page.count("gap rose") == page.count("no change shown") == 1
    assert "0.125 to 0.5" in page
    assert page.count('<td class="number">–</td>') == 1  # bi100 has no AUC


def test_gap_table_marks_sites_and_escapes_names():
    page = gap_table(pd.DataFrame([row(target="<b>B</b>")]), {"<b>B</b>": ["um/px unknown"]})
    assert "<b>B" not in page and "&lt;b&gt;B" in page
    assert '<span class="mark">um/px unknown</span>' in page


def test_undefined_numbers_are_dashes():
    page = gap_table(pd.DataFrame([row(value=float("nan")), row(metric="FD", low=float("nan"))]))
    assert page.count("–") == 1 and "nan" not in page


def test_what_is_below_one_is_never_written_as_one():
    written = [significant(value) for value in (0.998, 0.9996, -0.99997, 1.0, 0.5, 1234.6)]
    assert written == ["0.998", "0.9996", "-0.99997", "1", "0.5", "1235"]
    assert "0.9999 to 1<" in gap_table(pd.DataFrame([row(value=0.99995, low=0.9999, high=1.0)]))


def test_no_sites_no_table():
    assert "<table" not in gap_table(pd.DataFrame())


def test_figures_are_repeatable_fragments():
    figure = style_figure(go.Figure(go.Scatter(x=[1], y=[2], name=escape_label("<i>"))), 200)
    first, second = figure_html(figure, "f"), figure_html(figure, "f")
    assert first == second and 'id="f"' in first and "<i>" not in first
    assert "cdn" not in first
