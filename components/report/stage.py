"""The final page: the verdict first, then the evidence, then the provenance."""

from collections.abc import Sequence
from typing import Any

from components.core.html.embedding import embedding_html
from components.core.html.gap_table import gap_table
from components.core.io.atomic_files import write_text
from components.core.options.shared import SharedOptions
from components.core.records.stage_record import StageRecord
from components.core.telemetry.stage import instrumented
from components.report.cards import cards_section
from components.report.data import data_section
from components.report.inputs import ReportInputs, read_inputs
from components.report.labels import Labels, read_labels
from components.report.options import ReportOptions
from components.report.page import page_html, summary_markdown
from components.report.performance import (
    AUROC_IN_FOLDS,
    AUROC_IN_SITES,
    auroc_by_seed,
    cross_validation,
    external_sites,
)
from components.report.provenance import list_untrained_networks, provenance_section, times_section
from components.report.samples import samples_section
from components.report.task_records import network_name
from components.report.thygan_claims import claims_section
from components.report.training import training_section
from components.report.verdicts import Comparisons, compare_with_baseline, endpoint_numbers, verdict_section

MARK_SUFFIX = "_LEAKED_OR_TRUSTED"
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
    tile_record: str,
    external_tile_record: str,
    split_record: str,
    final_records: Sequence[str],
    fold_records: Sequence[str],
    evaluation_record: str,
    umap_record: str,
    data_card: str,
    external_data_card: str,
    generators: Sequence[str],
    report: str,
    verdict: str,
    report_record: str,
    options: ReportOptions = ReportOptions(),
    shared: SharedOptions = SharedOptions(),
) -> None:
    """Writes the study's report: one verdict per arm, the evidence behind it, and the provenance of everything.

    Args:
        manifest: Manifest (CSV) of the source tiles.
        tiles: TileSet (zip) of the source.
        plan: SplitPlan (JSON).
        study: StudyPlan (JSON).
        external_labels: Manifest (CSV) of the external tiles, with labels.
        external_tiles: TileSet (zip) of the external sites; '' or an empty one = no external sites.
        synthetic: SyntheticTiles (zip) of the fold `all`, one per label scheme.
        predictions: Predictions (CSV) of the cross-validation, one per scheme and fold.
        external_predictions: Predictions (CSV) of the external sites; '' = no external sites.
        gap: DomainGap (folder) of the umap stage.
        tile_record: Record (JSON) of the tile stage, source.
        external_tile_record: Record (JSON) of the tile stage, external sites; '' = no external sites.
        split_record: Record (JSON) of the split stage.
        final_records: Records (JSON) of classifier_cv on the fold `all`, one per scheme.
        fold_records: Records (JSON) of classifier_cv on the other folds, one per scheme and fold.
        evaluation_record: Record (JSON) of the external_eval stage; '' = no external sites.
        umap_record: Record (JSON) of the umap stage.
        data_card: Data card (HTML) of the source.
        external_data_card: Data card (HTML) of the external sites; '' = no external sites.
        generators: Generators (folders) of the fold `all`, one per label scheme.
        report: Self-contained page (HTML) to write.
        verdict: Short summary (Markdown) to write.
        report_record: Record (JSON) to write: numbers for comparing runs.
        options: Options of the stage.
        shared: Options that several stages share; `published` is read: it sets the gains claimed for Thy-GAN beside
            those of its own predictions and of this study.

    Raises:
        DataError: An input that cannot be used, or inputs of different studies.
    """
    with StageRecord(report_record, "report") as record:
        inputs = read_inputs(
            manifest=manifest,
            tiles=tiles,
            plan=plan,
            study=study,
            external_labels=external_labels,
            external_tiles=external_tiles,
            synthetic=synthetic,
            predictions=predictions,
            external_predictions=external_predictions,
            gap=gap,
            tile_record=tile_record,
            external_tile_record=external_tile_record,
            split_record=split_record,
            final_records=final_records,
            fold_records=fold_records,
            evaluation_record=evaluation_record,
            umap_record=umap_record,
        )
        labels = read_labels(inputs)
        comparisons = compare_with_baseline(inputs)
        context = _context(inputs, comparisons, labels, options.title or TITLE)
        cards = {"Data card: source": data_card}
        if inputs.external_tiles is not None:
            cards["Data card: external sites"] = external_data_card
        context["cards"] = cards_section(cards, generators, inputs.synthetic)
        context["claims"] = claims_section(comparisons, labels) if shared.published else None
        for name, value in _numbers(context, comparisons, labels).items():
            record[name] = value
        write_text(report, page_html(context))
        write_text(verdict, summary_markdown(context))


def _context(inputs: ReportInputs, comparisons: Comparisons, labels: Labels, title: str) -> dict[str, Any]:
    """Names that the templates use."""
    all_marks = [
        {"arm": arm, "where": "external sites" if external else "cross-validation", "mark": mark}
        for (arm, external), marks in labels.marks.items()
        for mark in marks
    ]
    cv_seeds = auroc_by_seed(inputs.predictions, inputs, labels, AUROC_IN_FOLDS, external=False)
    external_seeds = auroc_by_seed(inputs.external_predictions, inputs, labels, AUROC_IN_SITES, external=True)
    return {
        "title": title,
        "study": inputs.study,
        "classes": inputs.class_names,
        "seed_names": [f"seed {seed}" for seed in inputs.study.seeds],
        "external_count": inputs.external["site"].nunique(),
        "leaked": bool(all_marks),
        "all_marks": all_marks,
        "untrained": list_untrained_networks(inputs),
        "verdict": verdict_section(comparisons, inputs, labels),
        "data": data_section(inputs, labels),
        "samples": samples_section(inputs, labels),
        "training": training_section(inputs),
        "cv": cross_validation(inputs, labels),
        "cv_seeds": cv_seeds,
        "external": external_sites(inputs, labels),
        "external_seeds": external_seeds,
        "map": embedding_html(inputs.points, "umap", ["2-D"]),
        "map_extractor": network_name(inputs.umap.extractor, inputs.umap.extractor_px),
        "gap": gap_table(inputs.gap, {site: labels.site_marks(site) for site in labels.unknown_mpp}),
        "provenance": provenance_section(inputs),
        "times": times_section(inputs),
    }


def _numbers(context: dict[str, Any], comparisons: Comparisons, labels: Labels) -> dict[str, str | float]:
    """Numbers for comparing runs, a marked arm's under a name that says so; undefined ones are left out."""
    numbers: dict[str, str | float | None] = {}
    for evidence in [context["cv"], *context["external"]]:
        for arm, values in evidence.metrics.items() if evidence else ():
            suffix = MARK_SUFFIX if labels.arm_marks(arm, external=evidence.site != "") else ""
            place = evidence.site or "cv"
            numbers |= {f"{place}_{name}_{arm}{suffix}": value for name, value in values.items()}
    for arm, comparison in comparisons.items():
        suffix = MARK_SUFFIX if labels.arm_marks(arm, external=True) else ""
        numbers |= {f"{name}{suffix}": value for name, value in endpoint_numbers(comparison).items()}
    numbers |= {f"verdict_{verdict['arm']}": verdict["word"] for verdict in context["verdict"]["verdicts"]}
    return {name: value for name, value in numbers.items() if value is not None}
