"""The data section: sites, diagnoses, folds, and what a reader must know of them."""

from collections import Counter
from typing import Any, cast

import pandas as pd

from components.report.inputs import Inputs, Row
from components.report.labels import Labels


def data_section(inputs: Inputs, names: Labels) -> dict[str, Any]:
    """Tables for the template."""
    tilings = [("source", inputs.records["tile"]), ("external", inputs.records.get("tile external"))]
    sites = [
        {**row, "role": role, "marks": names.site_marks(row["site"])}
        for role, record in tilings
        if record
        for row in record["tables"].get("sites", [])
    ]
    skipped = Counter(
        row["why"].replace(row["file"], "the file")
        for _, record in tilings
        if record
        for row in record["tables"].get("skipped", [])
    )
    return {
        "sites": sites,
        "diagnoses": _diagnoses(inputs),
        "folds": inputs.records["split"]["tables"].get("folds", []),
        "notes": inputs.records["split"]["tables"].get("notes", []),
        "skipped": [{"why": why, "images": count} for why, count in sorted(skipped.items())],
        "origin": inputs.plan.origin,
    }


def _diagnoses(inputs: Inputs) -> dict[str, Any]:
    """Patients and tiles of every diagnosis at every site."""
    everything = pd.concat([inputs.manifest, inputs.external], ignore_index=True)
    sites = list(everything["site"].drop_duplicates())
    rows: list[Row] = []
    for key, tiles in everything.groupby(["label", "diagnosis"], sort=True):
        label, diagnosis = cast("tuple[int, str]", key)
        counts = []
        for site in sites:
            here = tiles[tiles["site"] == site]
            known = here.loc[here["identity"] != "", "identity"].nunique()
            counts.append({"patients": known, "tiles": len(here)})
        rows.append({"diagnosis": diagnosis, "class_name": inputs.class_names[label], "counts": counts})
    return {"sites": sites, "rows": rows}
