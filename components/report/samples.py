"""Real tiles beside generated ones, class by class."""

from typing import Any

import numpy as np
import pandas as pd

from components.core.data.archive import ImageArchive
from components.core.data.file_names import CLASSES
from components.core.html.pictures import data_uri, image_grid
from components.core.protocol.study_plan import BINARY
from components.report.inputs import ReportInputs
from components.report.labels import Labels

GRID_TILES, COLUMNS, MOST_PX = 8, 4, 112
MOST_SITES = 2


def samples_section(inputs: ReportInputs, labels: Labels) -> list[dict[str, Any]]:
    """Per scheme its classes, and per class a grid of every kind of tile."""
    rng = np.random.default_rng(0)
    return [_scheme(inputs, labels, scheme, archive, rng) for scheme, archive in sorted(inputs.synthetic.items())]


def _scheme(
    inputs: ReportInputs, labels: Labels, scheme: str, archive: ImageArchive, rng: np.random.Generator
) -> dict[str, Any]:
    column, key = ("label", "label") if scheme == BINARY else ("diagnosis", "name")
    classes = archive.attachment(CLASSES)
    external = inputs.external[inputs.external[column].isin([entry[key] for entry in classes])]
    sites = list(external["site"].drop_duplicates())[:MOST_SITES]
    heads = [{"name": "real, source", "marks": []}, {"name": "generated", "marks": []}]
    heads += [{"name": f"real, {site}", "marks": labels.site_marks(site)} for site in sites]

    def row(entry: dict[str, Any]) -> dict[str, Any]:
        source = inputs.manifest[inputs.manifest[column] == entry[key]]
        generated = archive.manifest[archive.manifest["class"] == entry["index"]]
        of_class = external[external[column] == entry[key]]
        grids = [_grid(inputs.tiles, source, rng), _grid(archive, generated, rng)]
        grids += [_grid(inputs.external_tiles, of_class[of_class["site"] == site], rng) for site in sites]
        return {"name": entry["name"], "grids": grids}

    return {"scheme": scheme, "heads": heads, "classes": [row(entry) for entry in classes]}


def _grid(archive: ImageArchive | None, table: pd.DataFrame, rng: np.random.Generator) -> str:
    """A picture of up to eight tiles, of as many patients as can be; '' without tiles."""
    if archive is None or table.empty:
        return ""
    shuffled = table.iloc[rng.permutation(len(table))]
    turn = shuffled.groupby("identity").cumcount()
    chosen = shuffled.assign(turn=turn).sort_values("turn", kind="stable")["file"].head(GRID_TILES)
    images = list(archive.images(list(chosen)))
    return data_uri(image_grid(images, COLUMNS, side_px=min(MOST_PX, max(64, images[0].shape[0]))))
