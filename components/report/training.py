"""The generators: FID and KID over training, the chosen snapshots, and how many near-copies they drew."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from plotly.subplots import make_subplots

from components.core.html.number_format import significant
from components.core.html.palette import colours
from components.core.html.plots import escape_label, figure_html, style_figure
from components.core.html.table import Cell
from components.core.records.fid_select import SelectionRecord, SnapshotRow
from components.report.inputs import ReportInputs
from components.report.task_records import FoldRecords, network_name


def training_section(inputs: ReportInputs) -> dict[str, Any]:
    """Curves per scheme, and a row per generator."""
    generators = [
        (records, records.selection)
        for records in sorted(inputs.folds, key=lambda records: records.scheme)
        if records.selection and records.has_own_generator
    ]
    curves = []
    for scheme in inputs.schemes:
        of_scheme = [(records.fold, selection) for records, selection in generators if records.scheme == scheme]
        if of_scheme:
            curves.append({"scheme": scheme, "html": _curves(scheme, of_scheme)})
    return {
        "curves": curves,
        "rows": [_row(records, selection) for records, selection in generators],
        "extractors": sorted({_extractor(selection) for _, selection in generators}),
        "untrained": any(not selection.extractor_trained for _, selection in generators),
        "rules": sorted({selection.rule for _, selection in generators}),
        "near_copies": sum(_near_copies(records) for records, _ in generators),
        "ungated": [
            f"{records.scheme} fold {records.fold}"
            for records, _ in generators
            if records.generation and not records.generation.near_copy_gate
        ],
    }


def _row(records: FoldRecords, selection: SelectionRecord) -> list[Any]:
    chosen = next((row for row in selection.snapshots if row.chosen), None)
    generation = records.generation

    def number(name: str) -> Cell:
        return Cell(significant(getattr(chosen, name, None)))

    error = chosen.kid_se if chosen else None
    with_error = Markup('{} <span class="interval">± {}</span>')
    kid = significant(chosen.kid if chosen else None)
    return [
        records.scheme,
        records.fold,
        number("kimg"),
        number("fid"),
        Cell(kid if error is None else with_error.format(kid, significant(error, 2))),
        number("fid_held_out"),
        number("precision"),
        number("recall"),
        Cell("–" if generation is None else str(generation.tiles)),
        Cell(str(_near_copies(records))),
    ]


def _near_copies(records: FoldRecords) -> int:
    return records.generation.near_copies if records.generation else 0


def _extractor(selection: SelectionRecord) -> str:
    return network_name(selection.extractor, selection.extractor_px)


def _curves(scheme: str, selections: Sequence[tuple[str, SelectionRecord]]) -> Markup:
    extractor = escape_label(_extractor(selections[0][1]))
    figure = make_subplots(1, 2, subplot_titles=[f"FID ({extractor})", f"KID ({extractor})"], horizontal_spacing=0.1)
    colour_of = colours([fold for fold, _ in selections])
    for fold, selection in selections:
        snapshots = sorted(selection.snapshots, key=lambda row: row.kimg)
        for column, values in ((1, [row.fid for row in snapshots]), (2, [row.kid for row in snapshots])):
            figure.add_scatter(
                x=[row.kimg for row in snapshots],
                y=values,
                mode="lines+markers",
                name=f"fold {escape_label(fold)}",
                legendgroup=fold,
                showlegend=column == 1,
                line={"color": colour_of[fold], "width": 1.5},
                marker=_markers(snapshots, colour_of[fold]),
                hovertemplate="%{x} kimg: %{y:.4g}<extra>fold " + escape_label(fold) + "</extra>",
                row=1,
                col=column,
            )
    figure.update_xaxes(title="thousand images shown (kimg)", rangemode="tozero")
    figure.update_yaxes(rangemode="tozero")
    style_figure(figure, 340).update_layout(legend_y=-0.32)
    return figure_html(figure, f"curves-{scheme}")


def _markers(snapshots: Sequence[SnapshotRow], colour: str) -> dict[str, Any]:
    return {
        "size": [13 if row.chosen else 5 for row in snapshots],
        "symbol": ["star" if row.chosen else "circle" for row in snapshots],
        "color": colour,
    }
