"""Real tiles beside generated ones, class by class."""

import numpy as np
import pandas as pd

from components.core.data.archive import CLASSES, ImageArchive
from components.core.html.pictures import data_uri, image_grid
from components.core.protocol.study_plan import BINARY
from components.report.inputs import Inputs, Row
from components.report.labels import Labels

SHOWN, COLUMNS, MOST_PX = 8, 4, 112
MOST_SITES = 2


def samples_section(inputs: Inputs, names: Labels) -> list[Row]:
    """Per scheme its classes, and per class a grid of every kind of tile."""
    rng = np.random.default_rng(0)
    return [_scheme(inputs, names, scheme, archive, rng) for scheme, archive in sorted(inputs.synthetic.items())]


def _scheme(inputs: Inputs, names: Labels, scheme: str, archive: ImageArchive, rng: np.random.Generator) -> Row:
    column, key = ("label", "label") if scheme == BINARY else ("diagnosis", "name")
    classes = archive.attachment(CLASSES)
    external = inputs.external[inputs.external[column].isin([one[key] for one in classes])]
    sites = list(external["site"].drop_duplicates())[:MOST_SITES]
    heads = [{"name": "real, source", "marks": []}, {"name": "generated", "marks": []}]
    heads += [{"name": f"real, {site}", "marks": names.site_marks(site)} for site in sites]

    def row(one: Row) -> Row:
        source = inputs.manifest[inputs.manifest[column] == one[key]]
        made = archive.manifest[archive.manifest["class"] == one["index"]]
        seen = external[external[column] == one[key]]
        grids = [_grid(inputs.tiles, source, rng), _grid(archive, made, rng)]
        grids += [_grid(inputs.external_tiles, seen[seen["site"] == site], rng) for site in sites]
        return {"name": one["name"], "grids": grids}

    return {"scheme": scheme, "heads": heads, "classes": [row(one) for one in classes]}


def _grid(archive: ImageArchive | None, table: pd.DataFrame, rng: np.random.Generator) -> str:
    """A picture of up to eight tiles, of as many patients as can be; '' without tiles."""
    if archive is None or table.empty:
        return ""
    shuffled = table.iloc[rng.permutation(len(table))]
    turn = shuffled.groupby("identity").cumcount()
    chosen = shuffled.assign(turn=turn).sort_values("turn", kind="stable")["file"].head(SHOWN)
    images = list(archive.images(list(chosen)))
    return data_uri(image_grid(images, COLUMNS, side_px=min(MOST_PX, max(64, images[0].shape[0]))))
