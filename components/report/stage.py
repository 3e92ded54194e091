"""The final page: the verdict first, then the evidence, then how it was made."""

from collections.abc import Sequence
from typing import Any

from components.core.data.archive import ImageArchive
from components.core.data.manifest import read_manifest
from components.core.html.embedding import embedding_html
from components.core.html.gap_table import gap_table
from components.core.io.atomic_files import read_json, write_text
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import StudyPlan
from components.core.records.stage_record import StageRecord
from components.core.telemetry.stage import instrumented
from components.report.cards import cards_section
from components.report.data import data_section
from components.report.inputs import (
    Inputs,
    Row,
    network_name,
    read_external,
    read_gap,
    read_items,
    read_predictions,
    read_schemes,
)
from components.report.labels import Labels, read_labels
from components.report.performance import AUROC_IN_FOLDS, AUROC_IN_SITES, by_seed, cross_validation, external_sites
from components.report.provenance import made_section, times_section, untrained
from components.report.render import page_html, summary_markdown
from components.report.samples import samples_section
from components.report.thygan_claims import claims_section
from components.report.training import training_section
from components.report.verdicts import comparisons, verdict_section

MARKED = "_LEAKED_OR_TRUSTED"
TITLE = "Do generated tiles help on another hospital's slides?"


@instrumented
def run(
    *,
    manifest: str,
    tiles: str,
    plan: str,
    study: str,
    external_labels: str,
    external_tiles: str,
    synthetic: Sequence[str],
    predictions: Sequence[str],
    external_predictions: str,
    gap: str,
    tile_metrics: str,
    external_tile_metrics: str,
    split_metrics: str,
    final_metrics: Sequence[str],
    fold_metrics: Sequence[str],
    external_metrics: str,
    umap_metrics: str,
    data_card: str,
    external_data_card: str,
    generators: Sequence[str],
    page: str,
    markdown: str,
    metrics: str,
    title: str = "",
    published: bool = False,
) -> None:
    """Makes the study's report: one verdict per arm, the evidence behind it, and how everything was made.

    Args:
        manifest: Manifest CSV of the source tiles.
        tiles: TileSet of the source.
        plan: SplitPlan JSON.
        study: StudyPlan JSON.
        external_labels: Manifest CSV of the external tiles, with labels.
        external_tiles: TileSet of the external sites; '' or an empty one where there are none.
        synthetic: SyntheticTiles of the fold `all`, one per label scheme.
        predictions: Prediction CSVs of the cross-validation, one per scheme and fold.
        external_predictions: Prediction CSV of the external sites; '' where there are none.
        gap: DomainGap folder of the umap stage.
        tile_metrics: Record of the tile stage, source.
        external_tile_metrics: Record of the tile stage, external sites; '' where there are none.
        split_metrics: Record of the split stage.
        final_metrics: Records of classifier_cv on the fold `all`, one per scheme.
        fold_metrics: Records of classifier_cv on the other folds, one per scheme and fold.
        external_metrics: Record of the external_eval stage; '' where there are no external sites.
        umap_metrics: Record of the umap stage.
        data_card: Data card (HTML) of the source.
        external_data_card: Data card (HTML) of the external sites; '' where there are none.
        generators: Generators of the fold `all`, one per label scheme, for their cards.
        page: Where the self-contained HTML page is written.
        markdown: Where the short Markdown summary is written.
        metrics: Where the stage's record is written: flat numbers for comparing runs.
        title: Headline of the page; '' = the study's question.
        published: Set the gains that are told of Thy-GAN beside what its own predictions and this study give.

    Raises:
        DataError: An input that is not what it should be.
    """
    with StageRecord(metrics, "report") as record:
        archive, external = read_external(external_tiles, external_labels)
        source = read_manifest(manifest)
        table, points = read_gap(gap)
        once = {
            "tile": tile_metrics,
            "tile external": external_tile_metrics,
            "split": split_metrics,
            "external_eval": external_metrics,
            "umap": umap_metrics,
        }
        inputs = Inputs(
            study=StudyPlan.read(study),
            plan=SplitPlan.read(plan),
            manifest=source,
            external=source.iloc[:0] if external is None else external,
            tiles=ImageArchive(tiles),
            external_tiles=archive,
            synthetic=read_schemes(synthetic),
            predictions=read_predictions(predictions),
            external_predictions=read_predictions([external_predictions] if external_predictions else []),
            gap=table,
            points=points,
            items=read_items([*final_metrics, *fold_metrics]),
            records={name: read_json(path) for name, path in once.items() if path},
        )
        names = read_labels(inputs)
        compared = comparisons(inputs)
        context = _context(inputs, compared, names, title or TITLE)
        cards = {"Data card: source": data_card, "Data card: external sites": external_data_card if archive else ""}
        context["cards"] = cards_section(cards, generators, inputs.synthetic)
        context["claims"] = claims_section(compared, names) if published else None
        for name, value in _scalars(context, names).items():
            record[name] = value
        write_text(page, page_html(context))
        write_text(markdown, summary_markdown(context))


def _context(inputs: Inputs, compared: dict[str, Row], names: Labels, title: str) -> dict[str, Any]:
    """What the templates draw from."""
    all_marks = [
        {"arm": arm, "where": "external sites" if external else "cross-validation", "mark": mark}
        for (arm, external), marks in names.marks.items()
        for mark in marks
    ]
    return {
        "title": title,
        "study": inputs.study,
        "classes": inputs.class_names,
        "external_count": inputs.external["site"].nunique(),
        "leaked": bool(all_marks),
        "all_marks": all_marks,
        "untrained": untrained(inputs),
        "verdict": verdict_section(compared, inputs, names),
        "data": data_section(inputs, names),
        "samples": samples_section(inputs, names),
        "training": training_section(inputs),
        "cv": cross_validation(inputs, names),
        "cv_seeds": by_seed(inputs.predictions, inputs, names, AUROC_IN_FOLDS, external=False),
        "external": external_sites(inputs, names),
        "external_seeds": by_seed(inputs.external_predictions, inputs, names, AUROC_IN_SITES, external=True),
        "map": embedding_html(inputs.points, "umap", ["2-D"]),
        "map_extractor": network_name(inputs.records["umap"]),
        "gap": gap_table(inputs.gap, {site: names.site_marks(site) for site in names.unknown_mpp}),
        "made": made_section(inputs),
        "times": times_section(inputs),
    }


def _scalars(context: dict[str, Any], names: Labels) -> dict[str, str | float]:
    """Numbers for comparing runs, a marked arm's under a name that says so; undefined ones are left out."""
    found: dict[str, str | float | None] = {}
    for place, evidence in [("cv", context["cv"]), *((one["site"], one) for one in context["external"])]:
        if evidence:
            for arm, values in evidence["scalars"].items():
                mark = MARKED if names.arm_marks(arm, external=place != "cv") else ""
                found |= {f"{place}_{name}_{arm}{mark}": value for name, value in values.items()}
    for row in context["verdict"]["rows"]:
        mark = MARKED if names.arm_marks(row["arm"], external=True) else ""
        found |= {f"{name}{mark}": value for name, value in row["scalars"].items()}
    found |= {f"verdict_{one['arm']}": one["word"] for one in context["verdict"]["verdicts"]}
    return {name: value for name, value in found.items() if value is not None}
