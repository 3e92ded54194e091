"""`thygan data`: a check of a source before anything runs, and demo data."""

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from components.core.options.arguments import parse_mapping
from components.core.runtime.cli import Names
from components.core.runtime.progress import log


def check_source(
    source: str,
    *,
    labels: str = "",
    site: str = "",
    patient_pattern: str = "",
    mpp: Names = (),
    study_mpp: float = 0.0,
    tile_level: Names = (),
    tile_px: int = 512,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Prints patients, images, classes, sizes, magnifications and sites of a source, and what is unusual about it.

    Nothing is written. The exit status is 1 where the tile stage would refuse something.

    Args:
        source: Folder, zip or s3:// prefix with fields and whole slides.
        labels: Label file; empty = found in the source.
        site: Name of the site where the labels have none.
        patient_pattern: Pattern of patients in file names: tharun-thompson, tcga, nikiforov, several of these with
            commas, or a regular expression with a group `patient`.
        mpp: Micrometres per pixel, SITE=0.62, SITE=metadata or SITE=unknown; none = not checked.
        study_mpp: Micrometres per pixel that all are to be resampled to; 0 = not checked.
        tile_level: Sites that may lack patients.
        tile_px: Side of a tile, pixels; smaller images are counted.
        as_json: Print JSON.
    """
    from components.core.options.parse import parse
    from components.tile.check import check, text_report
    from components.tile.options import TileOptions

    values = {"patient_pattern": patient_pattern, "study_mpp": study_mpp or None, "tile_px": tile_px}
    report = check(
        source,
        labels=labels,
        site=site,
        mpp=parse_mapping("mpp", mpp) if mpp else None,
        tile_level=tile_level,
        options=parse(TileOptions, values, "tile"),
    )
    print(json.dumps(report, indent=1) if as_json else text_report(report))
    if report["problems"]:
        sys.exit(1)


def make_phantom(out: Path, *, seed: int = 0, patients: int = 24, external_patients: int = 16) -> None:
    """Makes procedural H&E-like fields of two hospitals: demo data, no evidence.

    Args:
        out: Folder to make; it must not exist.
        seed: Seed of every random draw.
        patients: Number of patients of the study's own hospital.
        external_patients: Number of patients of the other hospital.
    """
    from pipelines.demo import write_study

    write_study(out, seed=seed, patients=patients, external_patients=external_patients)
    log(f"demo data: {out}")
