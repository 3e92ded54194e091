"""Sources of images with their labels: one row per image, and what must hold before any is cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import pandas as pd

from components.core.data.manifest import check_cases, refuse_formulas
from components.core.errors import ConfigError, DataError
from components.tile.image_sources import IMAGES, ImageSource, open_source
from components.tile.images import FORMATS
from components.tile.labels import find_labels, merged, named_labels
from components.tile.patient_patterns import PATTERNS, Finder, finder, fitting
from components.tile.slides import SLIDES

SUFFIXES = {*FORMATS, *SLIDES}
FREE_TEXT = ["patient", "case", "diagnosis", "site"]
COLUMNS = ["place", "file", "source", "label", "patient", "case", "diagnosis", "site"]


@dataclass(frozen=True)
class Sources:
    """Where the images lie, and what is said of each.

    Attributes:
        places: In the order of the sources.
        table: `place` (index of the image's), `file` (its name there), `source` (its name in the manifest), `label,
            patient, case, diagnosis, site, number`. A patient or case number that two sites use stands as SITE/NUMBER
            in `patient` and `case`; `number` keeps the patient as the labels have it.
    """

    places: Sequence[ImageSource]
    table: pd.DataFrame

    @property
    def slides_only(self) -> set[str]:
        """Sites whose images are whole slides by their names."""
        fields = ~self.table["file"].map(lambda file: _suffix(file) in SLIDES).astype(bool)
        return set(self.table["site"]) - set(self.table.loc[fields, "site"])

    @property
    def shared_numbers(self) -> list[str]:
        """Patient numbers that more than one site uses."""
        sites = self.table[self.table["number"] != ""].groupby("number")["site"].nunique()
        return sorted(str(number) for number in sites.index[sites > 1])


def read_sources(
    sources: Sequence[str], labels: Sequence[str], sites: Sequence[str], patient_pattern: str, scratch: Path
) -> Sources:
    """Every image of every source, sources in order, files sorted.

    Args:
        sources: Addresses.
        labels: Label file of each; '' or none = found in it.
        sites: Site of each where its labels name none; '' or none = the folder's name.
        patient_pattern: Finds the patient in a file's name where the labels name none; see `names`.
        scratch: Folder for what must be copied here to be read.

    Raises:
        ConfigError: More labels or sites than sources, or a pattern that is none.
        DataError: No image, no label file, an image without label, a label without image, another site than stated.
    """
    for what, given in (("labels", labels), ("sites", sites)):
        if len(given) > len(sources):
            raise ConfigError(f"--{what} names {len(given)} for {len(sources)} source folder(s): give one for each.")
    find = finder(patient_pattern)
    places = [open_source(source, scratch) for source in sources]
    tables = [
        _rows(place, labels[i] if i < len(labels) else "", sites[i] if i < len(sites) else "", find).assign(place=i)
        for i, place in enumerate(places)
    ]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS, dtype=str)
    table["number"] = table["patient"]
    for column in ("patient", "case"):
        shared = table.groupby(column)["site"].transform("nunique") > 1
        apart = shared & (table[column] != "")
        table.loc[apart, column] = table["site"] + "/" + table[column]
    return Sources(places, table)


def check_patients(table: pd.DataFrame, tile_level: Sequence[str]) -> None:
    """Refuses images without a patient outside the tile-level sites, and cases that contradict themselves."""
    nobody = table[(table["patient"] == "") & ~table["site"].isin(tile_level)]
    if len(nobody):
        site = nobody["site"].iloc[0]
        sources = nobody.loc[nobody["site"] == site, "source"]
        known = fitting(_name(source) for source in sources)
        pattern = (
            f" {known} (which fits these names)" if known else f" (a regular expression, or {', '.join(PATTERNS)})"
        )
        raise DataError(
            f"{len(sources)} image(s) of site {site!r} have no patient (first: {sources.iloc[0]}): give them by "
            f"--patient-pattern{pattern}, a labels file with `meta`, or a CSV with a patient column, or admit the site "
            f"for tile metrics only with --tile-level {site}."
        )
    if len(table):
        check_cases(table)


def _rows(place: ImageSource, labels: str, site: str, find: Finder) -> pd.DataFrame:
    """One source's images with what its label files say."""
    files = [name for name in place.names() if _suffix(name) in SUFFIXES]
    if not files:
        raise DataError(f"{place.where} has no image ({', '.join(sorted(SUFFIXES))}): name the place that holds them.")
    top = f"{IMAGES}/" if all(file.startswith(f"{IMAGES}/") for file in files) else ""
    sources = {normalize("NFC", file.removeprefix(top)): file for file in files}
    if len(sources) < len(files):
        raise DataError(f"{place.where} has two images whose names differ in their encoding only: rename one of them.")
    stated = merged(named_labels(labels) if labels else find_labels(place))
    rows = _matched(place.where, list(sources), stated)
    if site and (others := sorted({row["site"] for row in rows} - {"", site})):
        raise DataError(
            f"The labels of {place.where} name the site {others[0]!r}, --sites says {site!r}: leave one of them out."
        )
    for row in rows:
        row["file"] = sources[row["source"]]
        row["site"] = row["site"] or site or place.home
        row["diagnosis"] = row["diagnosis"] or f"class {row['label']}"
        row["patient"] = row["patient"] or find(_name(row["source"]))
        row["case"] = row["case"] or row["patient"]
    table = pd.DataFrame(rows, columns=COLUMNS)
    refuse_formulas(table[["source", *FREE_TEXT]], f"The source {place.where}")
    return table.assign(label=table["label"].astype("Int64"))


def _matched(where: str, files: list[str], stated: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    """Images with their label rows; labels name an image by its path in the source, or by its name alone."""
    by_name: dict[str, list[str]] = {}
    for file in files:
        for name in {file, f"{IMAGES}/{file}", _name(file)}:
            by_name.setdefault(name, []).append(file)
    rows: dict[str, dict[str, str]] = {}
    exact = set(files)
    for name, row in stated.items():
        found = [name] if name in exact else by_name.get(name, [])
        if not found:
            raise DataError(f"The labels of {where} name {name}, which is not there: add the image or drop its label.")
        if len(found) > 1:
            raise DataError(
                f"The labels of {where} name {name}, which may be {' or '.join(found[:2])}: name images by their path "
                "in the folder."
            )
        if found[0] in rows:
            raise DataError(f"The labels of {where} name {found[0]} in two ways: keep one of the two rows.")
        rows[found[0]] = {"source": found[0], **row}
    bare = [file for file in files if not rows.get(file, {}).get("label")]
    if bare:
        raise DataError(
            f"{len(bare)} image(s) of {where} have no label (first: {bare[0]}): label them or move them out."
        )
    return [rows[file] for file in files]


def _name(file: str) -> str:
    return file.rpartition("/")[2]


def _suffix(file: str) -> str:
    return PurePosixPath(file).suffix.lower()
