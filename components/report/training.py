"""The generators: FID and KID over training, the chosen snapshots, and how many near-copies they drew."""

from typing import Any

from plotly.subplots import make_subplots

from components.core.html.palette import colours
from components.core.html.plots import figure_html, plain, style_figure
from components.report.inputs import Inputs, Row, network_name


def training_section(inputs: Inputs) -> dict[str, Any]:
    """Curves per scheme, and a row per generator."""
    items = sorted(trained(inputs.items), key=lambda item: item["scheme"])
    rows = [_row(item) for item in items]
    return {
        "curves": [
            {"scheme": scheme, "html": _curves(scheme, [item for item in items if item["scheme"] == scheme])}
            for scheme in inputs.schemes
            if any(item["scheme"] == scheme for item in items)
        ],
        "rows": rows,
        "extractors": sorted({row["extractor"] for row in rows}),
        "untrained": any(not row["extractor_trained"] for row in rows),
        "rules": sorted({str(item["fid_select"]["rule"]) for item in items}),
        "near_copies": sum(row["near_copies"] for row in rows),
        "ungated": [
            f"{item['scheme']} fold {item['fold']}"
            for item in items
            if item.get("generate", {}).get("near_copy_gate") is False
        ],
    }


def trained(items: list[Row]) -> list[Row]:
    """Items with a generator of their own; one that serves other folds, too, is told where it was trained."""
    return [item for item in items if "fid_select" in item and str(item["fid_select"]["fold"]) == item["fold"]]


def _row(item: Row) -> Row:
    selection = item["fid_select"]
    chosen: Row = next((one for one in selection["tables"]["snapshots"] if one["chosen"]), {})
    made = item.get("generate", {})
    return {
        "scheme": item["scheme"],
        "fold": item["fold"],
        **{key: chosen.get(key) for key in ("kimg", "fid", "kid", "kid_se", "fid_held_out", "precision", "recall")},
        "extractor": network_name(selection),
        "extractor_trained": selection["extractor_trained"],
        "tiles": made.get("tiles"),
        "near_copies": made.get("near_copies") or 0,
    }


def _curves(scheme: str, items: list[Row]) -> str:
    extractor = plain(network_name(items[0]["fid_select"]))
    figure = make_subplots(1, 2, subplot_titles=[f"FID ({extractor})", f"KID ({extractor})"], horizontal_spacing=0.1)
    chosen_colours = colours([item["fold"] for item in items])
    for item in items:
        snapshots = sorted(item["fid_select"]["tables"]["snapshots"], key=lambda one: one["kimg"])
        colour = chosen_colours[item["fold"]]
        for column, measure in ((1, "fid"), (2, "kid")):
            figure.add_scatter(
                x=[one["kimg"] for one in snapshots],
                y=[one[measure] for one in snapshots],
                mode="lines+markers",
                name=f"fold {plain(item['fold'])}",
                legendgroup=item["fold"],
                showlegend=column == 1,
                line={"color": colour, "width": 1.5},
                marker={
                    "size": [13 if one["chosen"] else 5 for one in snapshots],
                    "symbol": ["star" if one["chosen"] else "circle" for one in snapshots],
                    "color": colour,
                },
                hovertemplate="%{x} kimg: %{y:.4g}<extra>fold " + plain(item["fold"]) + "</extra>",
                row=1,
                col=column,
            )
    figure.update_xaxes(title="thousand images shown (kimg)", rangemode="tozero")
    figure.update_yaxes(rangemode="tozero")
    style_figure(figure, 340).update_layout(legend_y=-0.32)
    return figure_html(figure, f"curves-{scheme}")
