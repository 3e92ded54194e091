"""Folders of images with their labels: one row per image, and what must hold before any is cut."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from components.core.errors import ConfigError, DataError
from components.core.manifest import check_cases, is_missing
from components.tile.labels import find_labels, merged, with_patients

SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}
COLUMNS = ["path", "source", "label", "patient", "case", "diagnosis", "site"]


def read_sources(
    sources: Sequence[str], labels: Sequence[str], sites: Sequence[str], patient_pattern: str
) -> pd.DataFrame:
    """Every image: `path, source, label, patient, case, diagnosis, site, number`, folders in order, files sorted.

    A patient or case number that two sites use stands as SITE/NUMBER in `patient` and `case`; `number` keeps the
    patient as the labels have it.

    Raises:
        ConfigError: More labels or sites than folders, or a pattern without the group `patient`.
        DataError: What `read_source` finds.
    """
    for what, given in (("labels", labels), ("sites", sites)):
        if len(given) > len(sources):
            raise ConfigError(f"--{what} names {len(given)} for {len(sources)} source folder(s): give one for each.")
    pattern = _compiled(patient_pattern)
    tables = [
        read_source(source, labels[i] if i < len(labels) else "", sites[i] if i < len(sites) else "", pattern)
        for i, source in enumerate(sources)
    ]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS, dtype=str)
    table["number"] = table["patient"]
    for column in ("patient", "case"):
        shared = table.groupby(column)["site"].transform("nunique") > 1
        apart = shared & (table[column] != "")
        table.loc[apart, column] = table["site"] + "/" + table[column]
    return table


def read_source(source: str, labels: str, site: str, pattern: re.Pattern[str] | None) -> pd.DataFrame:
    """One folder's images with what its label files say.

    Args:
        source: The folder; where all its images lie in its `images` folder, that one is meant.
        labels: The label file; '' = found in the folder.
        site: Its site where the labels name none; '' = the folder's name.
        pattern: Finds the patient in a file's name where the labels name none.

    Raises:
        DataError: No image, no label file, an image without label, a label without image, another site than `site`.
    """
    if not source:
        raise ConfigError("A source is empty: name a folder with images.")
    folder = Path(source)
    files = _images(folder)
    if all(file.parts[0] == "images" for file in files):
        folder, files = folder / "images", [file.relative_to("images") for file in files]
    stated = merged(with_patients(Path(labels)) if labels else find_labels(folder))
    rows = _matched(folder, [file.as_posix() for file in files], stated)
    if site and (others := sorted({row["site"] for row in rows} - {"", site})):
        raise DataError(
            f"The labels of {source} name the site {others[0]!r}, --sites says {site!r}: leave one of them out."
        )
    home = site or (folder.parent if folder.name == "images" else folder).resolve().name
    for row in rows:
        row["site"] = row["site"] or home
        row["diagnosis"] = row["diagnosis"] or f"class {row['label']}"
        row["patient"] = row["patient"] or _patient(pattern, row["source"])
        row["case"] = row["case"] or row["patient"]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.assign(label=table["label"].astype("Int64"))


def check_patients(table: pd.DataFrame, tile_level: Sequence[str]) -> None:
    """Refuses images without a patient outside the tile-level sites, and cases that contradict themselves."""
    nobody = table[(table["patient"] == "") & ~table["site"].isin(tile_level)]
    if len(nobody):
        site = nobody["site"].iloc[0]
        count = int((nobody["site"] == site).sum())
        raise DataError(
            f"{count} image(s) of site {site!r} have no patient (first: {nobody['source'].iloc[0]}): give them by "
            "--patient-pattern, a labels file with `meta`, or a CSV with a patient column, or admit the site for tile "
            f"metrics only with --tile-level {site}."
        )
    if len(table):
        check_cases(table)


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.")
    files = sorted(
        file.relative_to(folder)
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")
    )
    if not files:
        raise DataError(f"{folder} has no image ({', '.join(sorted(SUFFIXES))}): name the folder that holds them.")
    return files


def _matched(folder: Path, files: list[str], stated: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    """Images with their label rows; labels name an image by its path in the folder, or by its name alone."""
    by_name: dict[str, list[str]] = {}
    for file in files:
        for name in {file, f"images/{file}", file.rpartition("/")[2]}:
            by_name.setdefault(name, []).append(file)
    rows: dict[str, dict[str, str]] = {}
    exact = set(files)
    for name, row in stated.items():
        found = [name] if name in exact else by_name.get(name, [])
        if not found:
            raise DataError(f"The labels of {folder} name {name}, which is not there: add the image or drop its label.")
        if len(found) > 1:
            raise DataError(
                f"The labels of {folder} name {name}, which may be {' or '.join(found[:2])}: name images by their path "
                "in the folder."
            )
        if found[0] in rows:
            raise DataError(f"The labels of {folder} name {found[0]} in two ways: keep one of the two rows.")
        rows[found[0]] = {"path": str(folder / found[0]), "source": found[0], **row}
    bare = [file for file in files if not rows.get(file, {}).get("label")]
    if bare:
        raise DataError(
            f"{len(bare)} image(s) of {folder} have no label (first: {bare[0]}): label them or move them out."
        )
    return [rows[file] for file in files]


def _patient(pattern: re.Pattern[str] | None, source: str) -> str:
    found = pattern.search(source.rpartition("/")[2]) if pattern else None
    patient = found["patient"] if found else ""
    return "" if is_missing(patient) else patient


def _compiled(pattern: str) -> re.Pattern[str] | None:
    if not pattern:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--patient-pattern {pattern!r} is no regular expression: {error}.") from None
    if "patient" not in compiled.groupindex:
        raise ConfigError(
            f"--patient-pattern {pattern!r} has no group `patient`: write for example (?P<patient>\\d+)[a-z]\\.jpeg."
        )
    return compiled
