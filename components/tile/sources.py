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
from components.tile.labels import find_labels, merge_labels, read_label_files
from components.tile.patient_patterns import PATTERNS, PatientFinder, find_patterns, patient_finder
from components.tile.slide_reader import slide_suffixes

FREE_TEXT = ["patient", "case", "diagnosis", "site"]
COLUMNS = ["source_index", "file", "source", "label", "patient", "case", "diagnosis", "site"]


@dataclass(frozen=True)
class LabelledSources:
    """Where the images are, and what is known of each.

    Attributes:
        sources: The sources in order.
        table: `source_index` (of the image's source), `file` (its name there), `source` (its name in the manifest),
            `label, patient, case, diagnosis, site, number`. A patient or case number that two sites use becomes
            SITE/NUMBER in `patient` and `case`; `number` keeps the patient as the labels have it.
    """

    sources: Sequence[ImageSource]
    table: pd.DataFrame

    @property
    def slides_only(self) -> set[str]:
        """Sites whose images are whole slides by their names."""
        suffixes = slide_suffixes()
        fields = ~self.table["file"].map(lambda file: _suffix(file) in suffixes).astype(bool)
        return set(self.table["site"]) - set(self.table.loc[fields, "site"])

    @property
    def numbers_of_several_sites(self) -> list[str]:
        """Patient numbers that more than one site uses."""
        sites = self.table[self.table["number"] != ""].groupby("number")["site"].nunique()
        return sorted(str(number) for number in sites.index[sites > 1])


def read_sources(
    sources: Sequence[str], labels: Sequence[str], sites: Sequence[str], patient_pattern: str, scratch: Path
) -> LabelledSources:
    """Every image of every source, sources in order, files sorted.

    Args:
        sources: Addresses of the sources.
        labels: Label file of each source; '' or none = looked for in the source.
        sites: Site of each source where its labels name none; '' or none = the folder's name.
        patient_pattern: Pattern of the patient in file names where the labels name none; see `patient_patterns`.
        scratch: Folder for copies of files that can only be read here.

    Raises:
        ConfigError: More labels or sites than sources, or an unusable pattern.
        DataError: No image, no label file, an image without label, a label without image, or a site other than the
            stated one.
    """
    for option, values in (("labels", labels), ("sites", sites)):
        if len(values) > len(sources):
            raise ConfigError(f"--{option} names {len(values)} for {len(sources)} source folder(s): give one for each.")
    find_patient = patient_finder(patient_pattern)
    opened = [open_source(source, scratch) for source in sources]
    tables = [
        _read_source(
            source, labels[i] if i < len(labels) else "", sites[i] if i < len(sites) else "", find_patient
        ).assign(source_index=i)
        for i, source in enumerate(opened)
    ]
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS, dtype=str)
    table["number"] = table["patient"]
    for column in ("patient", "case"):
        shared = table.groupby(column)["site"].transform("nunique") > 1
        ambiguous = shared & (table[column] != "")
        table.loc[ambiguous, column] = table["site"] + "/" + table[column]
    return LabelledSources(opened, table)


def check_patients(table: pd.DataFrame, tile_level: Sequence[str]) -> None:
    """Refuses images without a patient outside the tile-level sites, and cases that contradict themselves."""
    anonymous = table[(table["patient"] == "") & ~table["site"].isin(tile_level)]
    if len(anonymous):
        site = anonymous["site"].iloc[0]
        images = anonymous.loc[anonymous["site"] == site, "source"]
        known = find_patterns(_base_name(image) for image in images)
        pattern = (
            f" {known} (which fits these names)" if known else f" (a regular expression, or {', '.join(PATTERNS)})"
        )
        raise DataError(
            f"{len(images)} image(s) of site {site!r} have no patient (first: {images.iloc[0]}): give them by "
            f"--patient-pattern{pattern}, a labels file with `meta`, or a CSV with a patient column, or admit the site "
            f"for tile metrics only with --tile-level {site}."
        )
    if len(table):
        check_cases(table)


def _read_source(source: ImageSource, labels: str, site: str, find_patient: PatientFinder) -> pd.DataFrame:
    """One source's images with the statements of its label files."""
    suffixes = {*FORMATS, *slide_suffixes()}
    files = [name for name in source.file_names() if _suffix(name) in suffixes]
    if not files:
        raise DataError(
            f"{source.where} has no image ({', '.join(sorted(suffixes))}): name the folder that holds images."
        )
    top = f"{IMAGES}/" if all(file.startswith(f"{IMAGES}/") for file in files) else ""
    file_of = {normalize("NFC", file.removeprefix(top)): file for file in files}
    if len(file_of) < len(files):
        raise DataError(f"{source.where} has two images whose names differ in their encoding only: rename one of them.")
    stated = merge_labels(read_label_files(labels) if labels else find_labels(source))
    rows = _match_labels(source.where, list(file_of), stated)
    if site and (others := sorted({row["site"] for row in rows} - {"", site})):
        raise DataError(
            f"The labels of {source.where} name the site {others[0]!r}, but --sites names {site!r}: leave one of them "
            "out."
        )
    for row in rows:
        row["file"] = file_of[row["source"]]
        row["site"] = row["site"] or site or source.default_site
        row["diagnosis"] = row["diagnosis"] or f"class {row['label']}"
        row["patient"] = row["patient"] or find_patient(_base_name(row["source"]))
        row["case"] = row["case"] or row["patient"]
    table = pd.DataFrame(rows, columns=COLUMNS)
    refuse_formulas(table[["source", *FREE_TEXT]], f"The source {source.where}")
    return table.assign(label=table["label"].astype("Int64"))


def _match_labels(where: str, files: list[str], stated: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    """Images with their label rows; labels name an image by its path in the source, or by its name alone."""
    by_name: dict[str, list[str]] = {}
    for file in files:
        for name in {file, f"{IMAGES}/{file}", _base_name(file)}:
            by_name.setdefault(name, []).append(file)
    rows: dict[str, dict[str, str]] = {}
    exact = set(files)
    for name, row in stated.items():
        matches = [name] if name in exact else by_name.get(name, [])
        if not matches:
            raise DataError(
                f"The labels of {where} name {name}, which does not exist: add the image or remove its label."
            )
        if len(matches) > 1:
            raise DataError(
                f"The labels of {where} name {name}, which may be {' or '.join(matches[:2])}: name images by their "
                "path in the folder."
            )
        if matches[0] in rows:
            raise DataError(f"The labels of {where} name {matches[0]} in two ways: keep one of the two rows.")
        rows[matches[0]] = {"source": matches[0], **row}
    unlabelled = [file for file in files if not rows.get(file, {}).get("label")]
    if unlabelled:
        raise DataError(
            f"{len(unlabelled)} image(s) of {where} have no label (first: {unlabelled[0]}): label them or move them "
            "out."
        )
    return [rows[file] for file in files]


def _base_name(file: str) -> str:
    return file.rpartition("/")[2]


def _suffix(file: str) -> str:
    return PurePosixPath(file).suffix.lower()
