"""Looks at a folder of images before anything runs: what is there, what `tile` would refuse, what is odd."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pandas as pd

from components.core.errors import ThyganError
from components.core.manifest import class_map
from components.core.progress import track
from components.tile.crops import OddImageError, open_rgb
from components.tile.sites import site_rules
from components.tile.sources import check_patients, read_sources

FEW_PATIENTS = 5  # per class; fewer cannot fill five folds


def check(
    source: str,
    *,
    labels: str = "",
    site: str = "",
    patient_pattern: str = "",
    mpp: dict[str, str] | None = None,
    tile_level: Sequence[str] = (),
    tile_px: int = 512,
) -> dict[str, Any]:
    """What a folder holds, as JSON-ready values.

    Args:
        source: Folder with images.
        labels: Label file; '' = found in the folder.
        site: Its site where the labels have none; '' = the folder's name.
        patient_pattern: Regular expression with a group `patient` for file names.
        mpp: Micrometres per pixel of its sites, a number or "unknown"; None = not asked about.
        tile_level: Sites that may lack patients.
        tile_px: Side of a tile: smaller images are counted.

    Returns:
        `source`, `images`, `patients`, `cases`, `classes`, `diagnoses`, `sites`, `sizes`, and as sentences `problems`
        (the tile stage refuses them) and `odd` (it does not).
    """
    found: dict[str, Any] = {"source": source, "images": 0, "problems": [], "odd": []}
    try:
        table = read_sources([source], [labels], [site], patient_pattern)
    except ThyganError as error:
        return {**found, "problems": [str(error)]}
    sizes, unreadable = _sizes(list(table["path"]))
    known = table[table["patient"] != ""]
    rules: list[Callable[[], object]] = [lambda: check_patients(table, tile_level)]
    if mpp is not None:
        rules.append(lambda: site_rules(table["site"], mpp, 0.0, {}, tile_level))
    small = sum(count for (width, height), count in sizes.items() if min(width, height) < tile_px)
    return {
        **found,
        "images": len(table),
        "patients": known["patient"].nunique(),
        "cases": known["case"].nunique(),
        "classes": _counts(table, "label"),
        "diagnoses": _counts(table, "diagnosis"),
        "sites": [{**row, "mpp": (mpp or {}).get(row["name"], "not stated")} for row in _counts(table, "site")],
        "sizes": [{"width": w, "height": h, "images": count} for (w, h), count in sizes.most_common()],
        "problems": [*filter(None, map(_refusal, rules)), *unreadable],
        "odd": [*_oddities(table), *([f"{small} image(s) are smaller than a tile of {tile_px} px."] if small else [])],
    }


def as_text(found: dict[str, Any]) -> str:
    """`check`'s values for a terminal."""
    lines = [f"{found['source']}: {found['images']:,} images"]
    if found["images"]:
        lines[0] += f", {found['patients']:,} patients, {found['cases']:,} cases"
        for what in ("classes", "diagnoses", "sites"):
            lines.append(f"\n{what}")
            for row in found[what]:
                scale = f"  {row['mpp']} um/px" if "mpp" in row else ""
                lines.append(f"  {row['name']:<24}{row['images']:>7,} images{row['patients']:>7,} patients{scale}")
        lines.append("\nsizes")
        lines += [f"  {row['width']} x {row['height']:<17}{row['images']:>7,} images" for row in found["sizes"]]
    for what, title in (("problems", "would be refused"), ("odd", "odd")):
        if found[what]:
            lines += [f"\n{title}", *(f"  - {sentence}" for sentence in found[what])]
    return "\n".join(lines if found["problems"] or found["odd"] else [*lines, "\nnothing odd"])


def _sizes(paths: list[str]) -> tuple[Counter[tuple[int, int]], list[str]]:
    """Widths and heights with their counts, and a sentence for each image that is none."""
    sizes: Counter[tuple[int, int]] = Counter()
    unreadable = []
    with ProcessPoolExecutor() as pool:
        looked = track(pool.map(_size, paths, chunksize=4), "reading images", len(paths), "images")
        for path, size in zip(paths, looked, strict=True):
            if isinstance(size, str):
                unreadable.append(f"{path} {size}.")
            else:
                sizes[size] += 1
    return sizes, unreadable


def _size(path: str) -> tuple[int, int] | str:
    try:
        return open_rgb(path).size
    except OddImageError as error:
        return str(error)


def _refusal(rule: Callable[[], object]) -> str:
    try:
        rule()
    except ThyganError as error:
        return str(error)
    return ""


def _oddities(table: pd.DataFrame) -> list[str]:
    odd = [_refusal(lambda: class_map(table))]
    known = table[table["patient"] != ""]
    if table["label"].nunique() == 1:
        odd.append(f"All images are of class {table['label'].iloc[0]}: nothing can be trained on them alone.")
    for label, rows in known.groupby("label"):
        patients = rows["patient"].nunique()
        if patients < FEW_PATIENTS:
            odd.append(f"Class {label} has only {patients} patient(s): fewer than five folds need.")
    both = known.groupby("patient")["label"].nunique()
    if (both > 1).any():
        odd.append(f"{int((both > 1).sum())} patient(s) have cases of both classes: they stay together in every fold.")
    single = known["patient"].value_counts()
    if (single == 1).any() and (single > 1).any():
        odd.append(f"{int((single == 1).sum())} patient(s) have one image only.")
    return [sentence for sentence in odd if sentence]


def _counts(table: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    return [
        {"name": str(name), "images": len(rows), "patients": rows.loc[rows["patient"] != "", "patient"].nunique()}
        for name, rows in table.groupby(column, sort=True)
    ]
