"""A synthetic study on disk: a training hospital, an external one, labels and ground truth."""

import string
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from components.core.errors import ConfigError
from components.core.io.atomic_files import atomic_write
from components.core.runtime.progress import track
from pipelines.demo.diagnoses import DIAGNOSES, PatientEffect
from pipelines.demo.field import render_field
from pipelines.demo.stain import HOSPITALS

SOFTWARE = "thygan phantom (synthetic, demonstration only)"
_FIRST_LINE = "SYNTHETIC DEMONSTRATION DATA, NOT EVIDENCE"


@dataclass(frozen=True)
class _Patient:
    hospital: int
    number: int
    diagnosis: str


def write_study(
    folder: str | Path,
    *,
    seed: int = 0,
    patients: int = 24,
    images_per_patient: int = 3,
    size_px: int = 256,
    mpp: float = 0.5,
    external_patients: int = 16,
    workers: int = 2,
) -> dict[str, Any]:
    """Writes two hospitals of synthetic H&E-like fields: `hospital-a` to train on, `hospital-b` as the external site.

    Each has `images/<patient><letter>.png` and `meta.csv` (file, patient, case, class, diagnosis, site, and the truth:
    nuclei, nuclear_radius_um, clearing). Patients take the diagnoses in turn. The same arguments give the same bytes,
    whatever `workers`. An earlier phantom study in `folder` is replaced, anything else is refused.

    Args:
        folder: Folder of the study, written atomically.
        seed: Seed of all randomness.
        patients: Patients of hospital A, at least 2.
        images_per_patient: Fields of each patient, 1 to 26.
        size_px: Edge of a field, pixels.
        mpp: Micrometres per pixel of both hospitals.
        external_patients: Patients of hospital B, at least 2.
        workers: Number of threads.

    Returns:
        `folder`, `seed`, `mpp`, `size_px` and, per site, `images`, `patients`, `class0`, `class1` (patients),
        `diagnoses` (patients of each).

    Raises:
        ConfigError: An argument is out of its range, or the folder holds something else.
    """
    if seed < 0:
        raise ConfigError(f"The seed of a phantom study is 0 or larger, not {seed}.")
    if patients < 2 or external_patients < 2:
        raise ConfigError(
            f"A phantom hospital has at least 2 patients, one of each class, not {min(patients, external_patients)}: "
            "give more `patients` and `external_patients`."
        )
    if not 1 <= images_per_patient <= len(string.ascii_lowercase):
        raise ConfigError(f"A phantom patient has 1 to 26 images, a to z, not {images_per_patient}.")
    if workers < 1:
        raise ConfigError(f"A phantom study is drawn by at least 1 worker, not {workers}.")
    folder = Path(folder).resolve()
    _refuse_other(folder)

    people = list(_people(patients, external_patients))
    with atomic_write(folder) as partial:
        for hospital in HOSPITALS:
            (partial / hospital.site / "images").mkdir(parents=True)

        def draw(patient: _Patient) -> list[dict[str, Any]]:
            return _write_patient(partial, patient, seed, images_per_patient, size_px, mpp)

        with ThreadPoolExecutor(workers) as pool:
            tables = track(pool.map(draw, people), "drawing phantom patients", len(people), "patients")
            table = pd.DataFrame([row for rows in tables for row in rows])
        for site, rows in table.groupby("site"):
            rows.to_csv(partial / str(site) / "meta.csv", index=False, lineterminator="\n", float_format="%.4f")
        (partial / "README.txt").write_text(_readme(seed, mpp, size_px), encoding="utf-8")
    return {
        "folder": str(folder),
        "seed": seed,
        "mpp": mpp,
        "size_px": size_px,
        "sites": {str(site): _summary(rows) for site, rows in table.groupby("site")},
    }


def _people(patients: int, external_patients: int) -> Iterator[_Patient]:
    """All patients, numbered through both hospitals, so that numbers are unique."""
    names = list(DIAGNOSES)
    number = 0
    for hospital, count in enumerate((patients, external_patients)):
        for index in range(count):
            number += 1
            yield _Patient(hospital, number, names[index % len(names)])


def _write_patient(
    folder: Path, patient: _Patient, seed: int, images: int, size_px: int, mpp: float
) -> list[dict[str, Any]]:
    hospital = HOSPITALS[patient.hospital]
    effect = PatientEffect.sample(np.random.default_rng([seed, patient.number]))
    text = PngInfo()
    text.add_text("Software", SOFTWARE)
    rows = []
    for image, letter in enumerate(string.ascii_lowercase[:images], start=1):
        rng = np.random.default_rng([seed, patient.number, image])
        pixels, truth = render_field(rng, hospital, patient.diagnosis, effect, size_px, mpp)
        file = f"{patient.number}{letter}.png"
        Image.fromarray(pixels).save(folder / hospital.site / "images" / file, pnginfo=text)
        rows.append(
            {
                "file": file,
                "patient": str(patient.number),
                "case": str(patient.number),
                "class": DIAGNOSES[patient.diagnosis].label,
                "diagnosis": patient.diagnosis,
                "site": hospital.site,
                **truth,
            }
        )
    return rows


def _summary(rows: pd.DataFrame) -> dict[str, Any]:
    patients = rows.drop_duplicates("patient")
    return {
        "images": len(rows),
        "patients": len(patients),
        "class0": int((patients["class"] == 0).sum()),
        "class1": int((patients["class"] == 1).sum()),
        "diagnoses": {
            str(name): int(count) for name, count in patients["diagnosis"].value_counts().sort_index().items()
        },
    }


def _refuse_other(folder: Path) -> None:
    """Raises ConfigError for a folder that is neither empty nor an earlier phantom study."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    readme = folder / "README.txt"
    if not (readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(_FIRST_LINE)):
        raise ConfigError(f"{folder} is not a phantom study: give a new or empty folder.")


def _readme(seed: int, mpp: float, size_px: int) -> str:
    classes = ", ".join(f"{name} = {look.label}" for name, look in DIAGNOSES.items())
    return f"""{_FIRST_LINE}

No patient, no tissue, no scanner: every image here was computed by `pipelines.demo` (seed {seed}).
The fields show how the pipeline runs. Numbers computed from them say nothing about thyroid pathology, about
generative models or about hospitals.

hospital-a/   the training hospital      hospital-b/   the external one: other stain, lamp, blur and noise
  images/<patient><letter>.png           {size_px} x {size_px} pixels, {mpp} um per pixel at both sites
  meta.csv                               file, patient, case, class, diagnosis, site, and the truth of each field:
                                         nuclei (follicular cells whose centre is in the field), nuclear_radius_um
                                         (their mean radius) and clearing (their mean share of missing chromatin)

Classes: {classes}.
Every PNG carries the text "Software: {SOFTWARE}".
"""
