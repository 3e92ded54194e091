"""`thygan data check`: what a source holds, what `tile` would refuse in it, and what is unusual."""

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
from components.tile.options import TileOptions
from components.tile.patient_patterns import PATTERNS, find_patterns
from components.tile.sites import rules_of_sites
from components.tile.slide_preview import ImagePreview, preview_image
from components.tile.sources import LabelledSources, check_patients, read_sources

MIN_PATIENTS = 5  # per class; fewer cannot fill five folds
_EXAMPLES = 3


def check(
    source: str,
    *,
    labels: str = "",
    site: str = "",
    mpp: dict[str, str] | None = None,
    tile_level: Sequence[str] = (),
    options: TileOptions | None = None,
) -> dict[str, Any]:
    """What a source holds, as JSON-ready values.

    Args:
        source: Folder, zip or s3:// prefix with images.
        labels: Label file; '' = looked for in the source.
        site: Site of the images where the labels have none; '' = the folder's name.
        mpp: Micrometres per pixel of its sites, a number, "metadata" or "unknown"; None = not checked.
        tile_level: Sites that may lack patients.
        options: Options of the tile stage, of which `patient_pattern`, `study_mpp` and `tile_px` are read; None = the
            defaults.

    Returns:
        `source`, `images`, `patients`, `cases`, `patient_names` (pattern and examples), `classes`, `diagnoses`,
        `sites`, `sizes`, `magnifications`, and as sentences `problems` (the tile stage refuses them) and `warnings`
        (it does not).
    """
    options = options or TileOptions()
    study_mpp = options.study_mpp
    report: dict[str, Any] = {"source": source, "images": 0, "problems": [], "warnings": []}
    with TemporaryDirectory() as scratch:
        try:
            sources = read_sources([source], [labels], [site], options.patient_pattern, Path(scratch))
            previews = _preview_images(sources, Path(scratch))
        except ThyganError as error:
            return {**report, "problems": [str(error)]}
    table = sources.table
    known = table[table["patient"] != ""]
    rules: list[Callable[[], object]] = [lambda: check_patients(table, tile_level)]
    if mpp is not None:
        rules.append(lambda: rules_of_sites(table["site"], mpp, study_mpp, {}, tile_level, sources.slides_only))
    sizes = Counter((preview.size, preview.is_slide) for preview in previews if not preview.reject_reason)
    return {
        **report,
        "images": len(table),
        "patients": known["patient"].nunique(),
        "cases": known["case"].nunique(),
        "patient_names": _patient_names(table, options.patient_pattern),
        "classes": _counts(table, "label"),
        "diagnoses": _counts(table, "diagnosis"),
        "sites": [{**row, "mpp": (mpp or {}).get(row["name"], "not stated")} for row in _counts(table, "site")],
        "sizes": [
            {"width": size[0], "height": size[1], "images": count, "slides": is_slide}
            for (size, is_slide), count in sizes.most_common()
        ],
        "magnifications": _magnifications(previews),
        "problems": [*filter(None, map(_refusal, rules)), *_unusable_images(sources, previews)],
        "warnings": [*_label_warnings(sources), *_size_warnings(previews, options.tile_px)],
    }


def text_report(report: Mapping[str, Any]) -> str:
    """`check`'s values for a terminal."""
    lines = [f"{report['source']}: {report['images']:,} images"]
    if report["images"]:
        lines[0] += f", {report['patients']:,} patients, {report['cases']:,} cases"
        names = report["patient_names"]
        lines += [f"\npatients: {names['from']}"]
        lines += [f"  {example['file']:<40} {example['patient'] or '(none)'}" for example in names["examples"]]
        for what in ("classes", "diagnoses", "sites"):
            lines.append(f"\n{what}")
            for row in report[what]:
                scale = f"  {row['mpp']} um/px" if "mpp" in row else ""
                lines.append(f"  {row['name']:<24}{row['images']:>7,} images{row['patients']:>7,} patients{scale}")
        lines.append("\nsizes")
        for row in report["sizes"]:
            what = "slides" if row["slides"] else "images"
            lines.append(f"  {row['width']} x {row['height']:<17}{row['images']:>7,} {what}")
        lines += ["\nmagnifications"] if report["magnifications"] else []
        lines += [f"  {row['name']:<24}{row['images']:>7,} {row['of']}" for row in report["magnifications"]]
    for what, title in (("problems", "would be refused"), ("warnings", "warnings")):
        if report[what]:
            lines += [f"\n{title}", *(f"  - {sentence}" for sentence in report[what])]
    return "\n".join(lines if report["problems"] or report["warnings"] else [*lines, "\nno problems, no warnings"])


def _preview_images(sources: LabelledSources, scratch: Path) -> list[ImagePreview]:
    jobs = [(sources.sources[row["source_index"]], row["file"]) for row in sources.table.to_dict("records")]
    previews = prefetch_map(partial(preview_image, scratch), enumerate(jobs))
    return list(track(previews, "reading images", len(jobs), "images"))


def _patient_names(table: pd.DataFrame, pattern: str) -> dict[str, Any]:
    """The origin of the patients, with examples; and a known pattern that fits where none is known."""
    fits = find_patterns(source.rpartition("/")[2] for source in table["source"])
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


def _magnifications(previews: Sequence[ImagePreview]) -> list[dict[str, Any]]:
    """The images' own magnifications, slides apart from fields."""
    counts = Counter(
        (preview.magnification, "slides" if preview.is_slide else "fields")
        for preview in previews
        if not preview.reject_reason
    )
    return [{"name": name, "of": of, "images": count} for (name, of), count in counts.most_common()]


def _unusable_images(sources: LabelledSources, previews: Sequence[ImagePreview]) -> list[str]:
    """A sentence for each image that no tile can be cut from, and for each duplicate."""
    sentences: list[str] = []
    first_with: dict[str, str] = {}
    for row, preview in zip(sources.table.to_dict("records"), previews, strict=True):
        address = sources.sources[row["source_index"]].address(row["file"])
        first = first_with.setdefault(preview.fingerprint or address, address)
        if preview.reject_reason or first != address:
            sentences.append(f"{address} {preview.reject_reason or f'has the same content as {first}'}.")
    return sentences


def _refusal(rule: Callable[[], object]) -> str:
    try:
        rule()
    except ThyganError as error:
        return str(error)
    return ""


def _label_warnings(sources: LabelledSources) -> list[str]:
    table = sources.table
    warnings = [_refusal(lambda: class_map(table))]
    known = table[table["patient"] != ""]
    if table["label"].nunique() == 1:
        warnings.append(f"All images are of class {table['label'].iloc[0]}: nothing can be trained on them alone.")
    for label, rows in known.groupby("label"):
        patients = rows["patient"].nunique()
        if patients < MIN_PATIENTS:
            warnings.append(f"Class {label} has only {patients} patient(s): fewer than five folds need.")
    classes = known.groupby("patient")["label"].nunique()
    if (classes > 1).any():
        count = int((classes > 1).sum())
        warnings.append(f"{count} patient(s) have cases of both classes: they stay together in every fold.")
    images = known["patient"].value_counts()
    if (images == 1).any() and (images > 1).any():
        warnings.append(f"{int((images == 1).sum())} patient(s) have one image only.")
    if numbers := sources.numbers_of_several_sites:
        warnings.append(
            f"{len(numbers)} patient number(s) are used at more than one site and count as different people; where "
            "they are the same person, give the images one site."
        )
    return [sentence for sentence in warnings if sentence]


def _size_warnings(previews: Sequence[ImagePreview], tile_px: int) -> list[str]:
    small = sum(min(preview.size) < tile_px for preview in previews if not preview.reject_reason)
    slides = [preview for preview in previews if preview.is_slide and not preview.from_metadata]
    by_objective = sum(preview.mpp is not None for preview in slides)
    unknown = len(slides) - by_objective
    sentences = {
        f"{small} image(s) are smaller than a tile of {tile_px} px.": small,
        f"{by_objective} slide(s) state no um/px: it is derived from their objective's power.": by_objective,
        f"{unknown} slide(s) state neither um/px nor objective: give their um/px by --mpp SITE=0.25.": unknown,
    }
    return [sentence for sentence, count in sentences.items() if count]


def _counts(table: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    return [
        {"name": str(name), "images": len(rows), "patients": rows.loc[rows["patient"] != "", "patient"].nunique()}
        for name, rows in table.groupby(column, sort=True)
    ]
