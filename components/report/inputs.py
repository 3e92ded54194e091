"""Everything that a finished study left behind, read once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from components.core.data.archive import CLASSES, LINEAGE, ImageArchive
from components.core.data.manifest import read_manifest
from components.core.io.atomic_files import read_json
from components.core.protocol.split_plan import ALL, SplitPlan
from components.core.protocol.study_plan import BINARY, StudyPlan

Row = dict[str, Any]

_TEXT = ("tile", "patient", "case", "site", "diagnosis", "arm", "fold")


@dataclass(frozen=True)
class Inputs:
    """What the sections of the report draw from.

    Attributes:
        manifest: Source tiles with labels.
        external: External tiles with labels; no rows where there is no external site.
        tiles: Archive of the source.
        external_tiles: Archive of the external sites; None without any.
        synthetic: Scheme -> SyntheticTiles of fold `all`.
        predictions: Cross-validation, all folds.
        external_predictions: Of the classifiers of fold `all`.
        gap: Rows of domain_gap.csv.
        points: The UMAP's points.
        items: One per scheme and fold: {"scheme", "fold", and a record by the name of its stage}.
        records: The stages that run once, by name; "tile external" is the second tiling.
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
    points: list[Row]
    items: list[Row]
    records: dict[str, Row]

    @property
    def class_names(self) -> list[str]:
        """Names of the binary classes 0 and 1."""
        names = {0: "class 0", 1: "class 1"}
        if BINARY in self.synthetic:
            names |= {one["label"]: one["name"] for one in self.synthetic[BINARY].attachment(CLASSES) or []}
        return [names[0], names[1]]

    @property
    def schemes(self) -> list[str]:
        """Label schemes, binary first."""
        return sorted({item["scheme"] for item in self.items})


def network_name(record: Row) -> str:
    """The network that a record's numbers rest on, with its input size: other sizes are other measures."""
    name, side = ("backbone", "input_px") if "backbone" in record else ("extractor", "extractor_px")
    return f"{record[name]} at {record[side]} px" if record.get(side) else record[name]


def read_predictions(paths: Sequence[str]) -> pd.DataFrame:
    """Prediction files as one table; none, or only empty ones, give one without rows."""
    text = dict.fromkeys(_TEXT, str)
    tables = [pd.read_csv(path, dtype=text, keep_default_na=False, na_values={"prob_positive": [""]}) for path in paths]
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else (tables or [pd.DataFrame(columns=_TEXT)])[0]


def read_item(path: str) -> Row:
    """The records of one scheme and fold, by stage, from the metrics of its last stage."""
    last = read_json(path)
    chain = [*last["upstream"], last]
    return {"scheme": last["scheme"], "fold": str(last["fold"])} | {record["stage"]: record for record in chain}


def read_items(paths: Sequence[str]) -> list[Row]:
    """All items, folds in order with `all` last, binary before diagnosis."""
    return sorted(map(read_item, paths), key=lambda one: (one["fold"] == ALL, one["fold"], one["scheme"]))


def read_external(tiles: str, labels: str) -> tuple[ImageArchive | None, pd.DataFrame | None]:
    """The external archive and its labelled manifest; (None, None) where there are no external tiles."""
    if not tiles:
        return None, None
    archive = ImageArchive(tiles)
    return (archive, read_manifest(labels)) if len(archive) else (None, None)


def read_schemes(paths: Sequence[str]) -> dict[str, ImageArchive]:
    """Synthetic archives by the scheme of their generator."""
    archives = [ImageArchive(path) for path in paths]
    return {archive.attachment(LINEAGE)["scheme"]: archive for archive in archives}


def read_gap(folder: str) -> tuple[pd.DataFrame, list[Row]]:
    """The gap's table and the map's points."""
    text = dict.fromkeys(("source", "target", "metric", "with_arm", "gap"), str)
    table = pd.read_csv(Path(folder) / "domain_gap.csv", dtype=text)
    return table.fillna(dict.fromkeys(text, "")), read_json(Path(folder) / "umap.json")["points"]
