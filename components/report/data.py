"""The data section: sites, diagnoses, folds, and what a reader must know of them."""

from collections import Counter
from typing import Any, cast

import pandas as pd
from markupsafe import Markup

from components.core.html.table import Cell
from components.core.records.tile import SiteRow
from components.report.inputs import ReportInputs
from components.report.labels import Labels

UNKNOWN = Markup('<span class="bad">unknown</span>')


def data_section(inputs: ReportInputs, labels: Labels) -> dict[str, Any]:
    """Tables for the template."""
    records = [("source", inputs.tile), ("external", inputs.external_tile)]
    skipped = Counter(
        row.why.replace(row.file, "the file") for _, record in records if record for row in record.skipped
    )
    sites = [(role, site) for role, record in records if record for site in record.sites]
    return {
        "sites": [_site(site, role, labels) for role, site in sites],
        "source_patients": sum(site.patients for role, site in sites if role == "source"),
        "has_unknown_mpp": any(site.mpp is None for _, site in sites),
        "has_tile_level": any(site.tile_level for _, site in sites),
        "diagnoses": _diagnoses(inputs),
        "folds": [
            [row.fold, row.part, *map(_count, (row.patients, row.cases, row.tiles, row.class0, row.class1))]
            for row in inputs.split.folds
            if row.patients
        ],
        "notes": inputs.split.notes,
        "skipped": sorted(skipped.items()),
        "origin": inputs.plan.origin,
    }


def _site(site: SiteRow, role: str, labels: Labels) -> list[Any]:
    unknown = Cell("–")
    return [
        Cell(site.site, marks=labels.site_marks(site.site), is_number=False),
        f"{role}, tile level" if site.tile_level else role,
        unknown if site.tile_level else _count(site.patients),
        unknown if site.tile_level else _count(site.cases),
        *map(_count, (site.images, site.tiles, site.class0, site.class1)),
        Cell(UNKNOWN if site.mpp is None else f"{site.mpp:.3g}"),
    ]


def _diagnoses(inputs: ReportInputs) -> dict[str, Any]:
    """Patients and tiles of every diagnosis at every site."""
    everything = pd.concat([inputs.manifest, inputs.external], ignore_index=True)
    sites = list(everything["site"].drop_duplicates())
    rows = []
    for key, tiles in everything.groupby(["label", "diagnosis"], sort=True):
        label, diagnosis = cast("tuple[int, str]", key)
        cells = []
        for site in sites:
            of_site = tiles[tiles["site"] == site]
            patients = of_site.loc[of_site["identity"] != "", "identity"].nunique()
            cells.append(Cell(f"{patients or '–'} ({len(of_site)})" if len(of_site) else "–"))
        rows.append([diagnosis, inputs.class_names[label], *cells])
    return {"headings": ["diagnosis", "class", *sites], "rows": rows}


def _count(number: int) -> Cell:
    return Cell(str(number))
