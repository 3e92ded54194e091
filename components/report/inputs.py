"""Everything that a finished study left behind, read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from components.core.data.archive import ImageArchive
from components.core.data.file_names import CLASSES, DOMAIN_GAP, LINEAGE, UMAP_POINTS
from components.core.data.labels import join_labels
from components.core.data.manifest import read_manifest
from components.core.io.atomic_files import read_json
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import BINARY, StudyPlan
from components.core.records.split import SplitRecord
from components.core.records.stage_record import read_record
from components.core.records.tile import TileRecord
from components.core.records.umap import UmapRecord
from components.report.task_records import FoldRecords, TaskInfo, read_folds

_TEXT = ("tile", "patient", "case", "site", "diagnosis", "arm", "fold")


@dataclass(frozen=True)
class ReportInputs:
    """What the sections of the report are made from.

    Attributes:
        study: The study plan.
        plan: The split plan.
        manifest: Source tiles with labels.
        external: External tiles with labels; no rows where there is no external site.
        tiles: Archive of the source.
        external_tiles: Archive of the external sites; None without any.
        synthetic: Scheme -> SyntheticTiles of fold `all`.
        predictions: Predictions of the cross-validation, all folds.
        external_predictions: Predictions of the classifiers of fold `all`.
        gap: Rows of domain_gap.csv.
        points: Points of the map.
        folds: Records of every scheme and fold.
        tile: Record of the tile stage, source.
        external_tile: Record of the tile stage, external sites; None without any.
        split: Record of the split stage.
        umap: Record of the umap stage.
        single_tasks: Stage and duration of every task outside the folds.
    """

    study: StudyPlan
    plan: SplitPlan
    manifest: pd.DataFrame
    external: pd.DataFrame
    tiles: ImageArchive
    external_tiles: ImageArchive | None
    synthetic: dict[str, ImageArchive]
    predictions: pd.DataFrame
    external_predictions: pd.DataFrame
    gap: pd.DataFrame
    points: list[dict[str, Any]]
    folds: list[FoldRecords]
    tile: TileRecord
    external_tile: TileRecord | None
    split: SplitRecord
    umap: UmapRecord
    single_tasks: list[TaskInfo]

    @property
    def class_names(self) -> list[str]:
        """Names of the binary classes 0 and 1."""
        names = {0: "class 0", 1: "class 1"}
        if BINARY in self.synthetic:
            names |= {row["label"]: row["name"] for row in self.synthetic[BINARY].attachment(CLASSES) or []}
        return [names[0], names[1]]

    @property
    def schemes(self) -> list[str]:
        """Label schemes, binary first."""
        return sorted({records.scheme for records in self.folds})


def read_inputs(
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
) -> ReportInputs:
    """Reads all inputs; arguments as of `stage.run`."""
    archive, external = _read_external(external_tiles, external_labels)
    source = read_manifest(manifest)
    table, points = _read_gap(gap)
    paths = (tile_record, external_tile_record, split_record, evaluation_record, umap_record)
    raw = {path: read_json(path) for path in paths if path}
    return ReportInputs(
        study=StudyPlan.read(study),
        plan=SplitPlan.read(plan),
        manifest=source,
        external=source.iloc[:0] if external is None else external,
        tiles=ImageArchive(tiles),
        external_tiles=archive,
        synthetic=_read_synthetic(synthetic),
        predictions=_read_predictions(predictions),
        external_predictions=_read_predictions([external_predictions] if external_predictions else []),
        gap=table,
        points=points,
        folds=read_folds([*final_records, *fold_records]),
        tile=read_record(TileRecord, raw[tile_record]),
        external_tile=read_record(TileRecord, raw[external_tile_record]) if external_tile_record else None,
        split=read_record(SplitRecord, raw[split_record]),
        umap=read_record(UmapRecord, raw[umap_record]),
        single_tasks=[read_record(TaskInfo, record) for record in raw.values()],
    )


def _read_predictions(paths: Sequence[str]) -> pd.DataFrame:
    """Prediction files as one table; none, or only empty ones, give one without rows."""
    text = dict.fromkeys(_TEXT, str)
    tables = [pd.read_csv(path, dtype=text, keep_default_na=False, na_values={"prob_positive": [""]}) for path in paths]
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else (tables or [pd.DataFrame(columns=_TEXT)])[0]


def _read_external(tiles: str, labels: str) -> tuple[ImageArchive | None, pd.DataFrame | None]:
    """The external archive and its labelled manifest; (None, None) where there are no external tiles."""
    if not tiles:
        return None, None
    archive = ImageArchive(tiles)
    return (archive, join_labels(archive.manifest, read_manifest(labels))) if len(archive) else (None, None)


def _read_synthetic(paths: Sequence[str]) -> dict[str, ImageArchive]:
    """Synthetic archives by the scheme of their generator."""
    archives = [ImageArchive(path) for path in paths]
    return {archive.attachment(LINEAGE)["scheme"]: archive for archive in archives}


def _read_gap(folder: str) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The gap's table and the map's points."""
    text = dict.fromkeys(("source", "target", "metric", "with_arm", "gap"), str)
    table = pd.read_csv(Path(folder) / DOMAIN_GAP, dtype=text)
    return table.fillna(dict.fromkeys(text, "")), read_json(Path(folder) / UMAP_POINTS)["points"]
