"""Looks at a source of images before anything runs: what is there, what `tile` would refuse, what is odd."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from components.core.data.manifest import class_map
from components.core.errors import ThyganError
from components.core.runtime.prefetch import prefetch_map
from components.core.runtime.progress import track
from components.tile.patient_patterns import PATTERNS, fitting
from components.tile.sites import site_rules
from components.tile.slide_preview import Looked, look
from components.tile.sources import Sources, check_patients, read_sources

FEW_PATIENTS = 5  # per class; fewer cannot fill five folds
_EXAMPLES = 3


def check(
    source: str,
    *,
    labels: str = "",
    site: str = "",
    patient_pattern: str = "",
    mpp: dict[str, str] | None = None,
    study_mpp: float = 0.0,
    tile_level: Sequence[str] = (),
    tile_px: int = 512,
) -> dict[str, Any]:
    """What a source holds, as JSON-ready values.

    Args:
        source: Folder, zip or s3:// prefix with images.
        labels: Label file; '' = found in the source.
        site: Its site where the labels have none; '' = the folder's name.
        patient_pattern: Finds the patient in file names; see `names`.
        mpp: Micrometres per pixel of its sites, a number, "metadata" or "unknown"; None = not asked about.
        study_mpp: Micrometres per pixel that they are to be resampled to; 0 = not asked about.
        tile_level: Sites that may lack patients.
        tile_px: Side of a tile: smaller images are counted.

    Returns:
        `source`, `images`, `patients`, `cases`, `patient_names` (pattern and examples), `classes`, `diagnoses`,
        `sites`, `sizes`, `magnifications`, and as sentences `problems` (the tile stage refuses them) and `odd` (it does
        not).
    """
    found: dict[str, Any] = {"source": source, "images": 0, "problems": [], "odd": []}
    with TemporaryDirectory() as scratch:
        try:
            sources = read_sources([source], [labels], [site], patient_pattern, Path(scratch))
            looked = _looked(sources, Path(scratch))
        except ThyganError as error:
            return {**found, "problems": [str(error)]}
    table = sources.table
    known = table[table["patient"] != ""]
    rules: list[Callable[[], object]] = [lambda: check_patients(table, tile_level)]
    if mpp is not None:
        rules.append(lambda: site_rules(table["site"], mpp, study_mpp, {}, tile_level, sources.slides_only))
    sizes = Counter((one.size, one.slide) for one in looked if not one.odd)
    return {
        **found,
        "images": len(table),
        "patients": known["patient"].nunique(),
        "cases": known["case"].nunique(),
        "patient_names": _patient_names(table, patient_pattern),
        "classes": _counts(table, "label"),
        "diagnoses": _counts(table, "diagnosis"),
        "sites": [{**row, "mpp": (mpp or {}).get(row["name"], "not stated")} for row in _counts(table, "site")],
        "sizes": [
            {"width": size[0], "height": size[1], "images": count, "slides": slide}
            for (size, slide), count in sizes.most_common()
        ],
        "magnifications": _magnifications(looked),
        "problems": [*filter(None, map(_refusal, rules)), *_unusable(sources, looked)],
        "odd": [*_oddities(sources), *_odd_sizes(looked, tile_px)],
    }


def as_text(found: Mapping[str, Any]) -> str:
    """`check`'s values for a terminal."""
    lines = [f"{found['source']}: {found['images']:,} images"]
    if found["images"]:
        lines[0] += f", {found['patients']:,} patients, {found['cases']:,} cases"
        names = found["patient_names"]
        lines += [f"\npatients: {names['from']}"]
        lines += [f"  {one['file']:<40} {one['patient'] or '(none)'}" for one in names["examples"]]
        for what in ("classes", "diagnoses", "sites"):
            lines.append(f"\n{what}")
            for row in found[what]:
                scale = f"  {row['mpp']} um/px" if "mpp" in row else ""
                lines.append(f"  {row['name']:<24}{row['images']:>7,} images{row['patients']:>7,} patients{scale}")
        lines.append("\nsizes")
        for row in found["sizes"]:
            what = "slides" if row["slides"] else "images"
            lines.append(f"  {row['width']} x {row['height']:<17}{row['images']:>7,} {what}")
        lines += ["\nmagnifications"] if found["magnifications"] else []
        lines += [f"  {row['name']:<24}{row['images']:>7,} {row['of']}" for row in found["magnifications"]]
    for what, title in (("problems", "would be refused"), ("odd", "odd")):
        if found[what]:
            lines += [f"\n{title}", *(f"  - {sentence}" for sentence in found[what])]
    return "\n".join(lines if found["problems"] or found["odd"] else [*lines, "\nnothing odd"])


def _looked(sources: Sources, scratch: Path) -> list[Looked]:
    jobs = [(sources.places[row["place"]], row["file"]) for row in sources.table.to_dict("records")]
    return list(track(prefetch_map(partial(look, scratch), enumerate(jobs)), "reading images", len(jobs), "images"))


def _patient_names(table: pd.DataFrame, pattern: str) -> dict[str, Any]:
    """Where patients come from, with examples; and a known pattern that fits where none is known."""
    fits = fitting(source.rpartition("/")[2] for source in table["source"])
    if pattern:
        origin = f"by the labels, else by the pattern {pattern}"
    elif (table["patient"] != "").all():
        origin = "by the labels"
    elif fits:
        origin = f"not known; the pattern {fits} fits the names: --patient-pattern {fits}"
    else:
        origin = f"not known for all; no known pattern fits the names ({', '.join(PATTERNS)})"
    step = max(1, len(table) // _EXAMPLES)
    return {
        "from": origin,
        "examples": table[["source", "patient"]]
        .iloc[::step]
        .rename(columns={"source": "file"})
        .head(_EXAMPLES)
        .to_dict("records"),
    }


def _magnifications(looked: Sequence[Looked]) -> list[dict[str, Any]]:
    """What the images themselves say, slides apart from fields."""
    said = Counter((one.magnification, "slides" if one.slide else "fields") for one in looked if not one.odd)
    return [{"name": name, "of": of, "images": count} for (name, of), count in said.most_common()]


def _unusable(sources: Sources, looked: Sequence[Looked]) -> list[str]:
    """A sentence for each image that no tile can be cut from, and for each that is there twice."""
    sentences: list[str] = []
    first: dict[str, str] = {}
    for row, one in zip(sources.table.to_dict("records"), looked, strict=True):
        where = sources.places[row["place"]].at(row["file"])
        twin = first.setdefault(one.fingerprint or where, where)
        if one.odd or twin != where:
            sentences.append(f"{where} {one.odd or f'has the same content as {twin}'}.")
    return sentences


def _refusal(rule: Callable[[], object]) -> str:
    try:
        rule()
    except ThyganError as error:
        return str(error)
    return ""


def _oddities(sources: Sources) -> list[str]:
    table = sources.table
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
    if sources.shared_numbers:
        odd.append(
            f"{len(sources.shared_numbers)} patient number(s) stand at more than one site: they count as different "
            "people; where they are the same, give the images one site."
        )
    return [sentence for sentence in odd if sentence]


def _odd_sizes(looked: Sequence[Looked], tile_px: int) -> list[str]:
    small = sum(min(one.size) < tile_px for one in looked if not one.odd)
    slides = [one for one in looked if one.slide and not one.sure]
    guessed = sum(one.mpp is not None for one in slides)
    unknown = len(slides) - guessed
    return [
        *([f"{small} image(s) are smaller than a tile of {tile_px} px."] if small else []),
        *([f"{guessed} slide(s) say no um/px: it is taken from their objective's power."] if guessed else []),
        *([f"{unknown} slide(s) say neither um/px nor objective: state them by --mpp SITE=0.25."] if unknown else []),
    ]


def _counts(table: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    return [
        {"name": str(name), "images": len(rows), "patients": rows.loc[rows["patient"] != "", "patient"].nunique()}
        for name, rows in table.groupby(column, sort=True)
    ]
