"""A toy study on disk: coloured tiles of twelve patients, two folds, synthetic tiles, one call of the stage."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.classifier_cv.options import SHARED, ClassifierOptions
from components.classifier_cv.stage import run
from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.io.atomic_files import read_json
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import Lineage, identity
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import ARMS

KEY = b"a study key for the toy tests"
DIAGNOSES = {"FA": 0, "FTC": 1, "PTC": 1}
OF_PATIENT = ["FA", "FA", "FTC", "PTC"]  # in turn: both classes equally often
COLOURS = {"FA": (150, 90, 160), "FTC": (200, 120, 150), "PTC": (205, 110, 165)}
TRAIN, VAL, TEST = range(6), (6, 7, 8), (9, 10, 11)
TILES_EACH = 4
TILE_RECORD = {"tile_px": 32, "resolution": 32, "tiles": 48, "images": 12, "patients": 12, "mpp": 0.5}


def person(number: int) -> str:
    return identity(KEY, "A", str(number))


def tile(rng: np.random.Generator, diagnosis: str, side: int = 32) -> np.ndarray:
    """H&E-like: blobs of haematoxylin colour on the diagnosis's own ground."""
    ground = np.array(COLOURS[diagnosis]) + rng.normal(0, 6, 3)
    yy, xx = np.mgrid[:side, :side]
    nuclei = np.zeros((side, side), bool)
    for _ in range(6):
        y, x = rng.uniform(0, side, 2)
        nuclei |= (yy - y) ** 2 + (xx - x) ** 2 < (side / 10) ** 2
    pixels = np.where(nuclei[..., None], (90, 60, 130), ground) + rng.normal(0, 8, (side, side, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def run_stage(**values: Any) -> None:
    """The stage with its options and the shared ones among the other arguments."""
    names = {field.name for field in fields(ClassifierOptions)}
    options = ClassifierOptions(**{name: value for name, value in values.items() if name in names})
    shared = SharedOptions(**{name: value for name, value in values.items() if name in SHARED})
    direct = {name: value for name, value in values.items() if name not in {*names, *SHARED}}
    run(**direct, options=options, shared=shared)


@dataclass(frozen=True)
class Toy:
    """Paths of one toy study; `run` calls the stage into a folder of its own."""

    folder: Path
    tiles: Path
    plan: Path
    study: Path
    synthetic: Path

    @property
    def split(self) -> SplitPlan:
        return SplitPlan.read(self.plan)

    def options(self, out: Path) -> dict[str, Any]:
        return {
            "tiles": str(self.tiles),
            "plan": str(self.plan),
            "study": str(self.study),
            "synthetic": str(self.synthetic),
            "fold": "0",
            "predictions": str(out / "predictions.csv"),
            "classifiers": str(out / "classifiers"),
            "classifier_page": str(out / "page.html"),
            "classifier_record": str(out / "metrics.json"),
            "backbone": "shufflenet_v2_x0_5",
            "pretrained": False,
            "input_px": 32,
            "epochs": 1,
            "batch": 16,
            "device": "cpu",
        }

    def run(self, name: str, **options: Any) -> "Result":
        out = self.folder / name
        run_stage(**{**self.options(out), **options})
        return Result(out)


@dataclass(frozen=True)
class Result:
    folder: Path

    @property
    def predictions(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "predictions.csv", dtype={"patient": str, "fold": str})

    @property
    def record(self) -> dict[str, Any]:
        return read_json(self.folder / "metrics.json")

    @property
    def classifiers(self) -> list[dict[str, Any]]:
        return read_json(self.folder / "classifiers" / "classifiers.json")


def write_tiles(path: Path, change: Callable[[int, np.ndarray], np.ndarray] = lambda patient, pixels: pixels) -> Path:
    rng = np.random.default_rng(0)
    with ArchiveWriter(path) as archive:
        for patient in (*TRAIN, *VAL, *TEST):
            diagnosis = OF_PATIENT[patient % 4]
            for number in range(TILES_EACH):
                archive.add(
                    change(patient, tile(rng, diagnosis)),
                    {
                        "label": DIAGNOSES[diagnosis],
                        "patient": str(patient),
                        "case": str(patient),
                        "diagnosis": diagnosis,
                        "site": "A",
                        "source": f"{patient}.png",
                        "x": 32 * number,
                        "y": 0,
                        "mpp": 0.5,
                        "identity": person(patient),
                    },
                )
        archive.attach("records.json", [{"stage": "tile", **TILE_RECORD, "tables": {}}])
    return path


def write_synthetic(
    path: Path,
    lineage: Lineage | None,
    *,
    scheme: str = "binary",
    side: int = 32,
    seed: int = 1,
    each: int = 6,
    arms: dict[str, dict[str, int]] | None = None,
) -> Path:
    """`each` tiles of every class, in turn; by default the arms use all of class 0 and all but one of the others."""
    names = ["FA", "FTC+PTC"] if scheme == "binary" else sorted(DIAGNOSES)
    classes = [{"index": i, "name": name, "label": min(i, 1)} for i, name in enumerate(names)]
    rng = np.random.default_rng(seed)
    with ArchiveWriter(path) as archive:
        for number in range(each):
            for entry in classes:
                archive.add(
                    tile(rng, entry["name"].split("+")[0], side),
                    {
                        "label": entry["label"],
                        "class": entry["index"],
                        "diagnosis": entry["name"],
                        "seed": number,
                        "psi": 1.0,
                        "site": "synthetic",
                    },
                )
        counts = {str(entry["index"]): each - (entry["index"] > 0) for entry in classes}
        archive.attach("arms.json", arms or {arm: counts for arm, needed in ARMS.items() if needed == scheme})
        archive.attach("classes.json", classes)
        archive.attach("records.json", [{"stage": "generate", "fold": "0", "scheme": scheme, "tables": {}}])
        if lineage:
            archive.attach("lineage.json", lineage.to_dict())
    return path


def rewrite(source: Path, path: Path, patient: str, **changes: Any) -> Path:
    """The archive with other values in one patient's rows."""
    with ImageArchive(source) as archive, ArchiveWriter(path) as copy:
        for row in archive.manifest.to_dict("records"):
            copy.add(archive.read_bytes(row["file"]), {**row, **(changes if row["patient"] == patient else {})})
    return path
