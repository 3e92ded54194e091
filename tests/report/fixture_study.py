"""A small finished study, written through the core contracts: everything that the report reads, none of it trained."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.file_names import ARM_COUNTS, CARD, CLASSES, DOMAIN_GAP, LINEAGE, RECORDS, UMAP_POINTS
from components.core.data.images import Pixels
from components.core.data.manifest import write_manifest
from components.core.html.pictures import thumbnail
from components.core.io.atomic_files import write_json
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import Lineage, identity, key_id
from components.core.protocol.pseudonyms import patient_pseudonyms
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import StudyPlan, scheme_of
from components.core.records.classifier_cv import ClassifierRecord, ClassifierRow
from components.core.records.external_eval import EvaluationRecord
from components.core.records.fid_select import ClassDistances, SelectionRecord, SnapshotRow
from components.core.records.gan_train import GanRecord
from components.core.records.generate import ArmCountRow, GenerationRecord
from components.core.records.pack import ClassRow, PackRecord
from components.core.records.split import PartRow, SplitRecord
from components.core.records.stage_record import StageRecord
from components.core.records.tile import SiteRow, SkippedImage, TileRecord
from components.core.records.umap import UmapRecord
from components.report.options import ReportOptions
from components.tile.data_card.card import card_of_tiles, write_card

KEY = b"a key of the tests only"
KEY_ID = key_id(KEY)
ARMS = ["none", "stain-aug", "bi100", "bi100-real", "mc100", "mc100-real"]
# how far an arm pushes the scores of the two classes apart
STRENGTH = {"none": 0.5, "stain-aug": 0.7, "bi100": 1.1, "bi100-real": 0.6, "mc100": 1.4, "mc100-real": 0.6}


@dataclass(frozen=True)
class Wanted:
    """What the study shall be like."""

    diagnoses: dict[str, int] = field(default_factory=lambda: {"FA": 0, "MNG": 0, "FVPTC": 1, "PTC": 1})
    source_site: str = "Altstadt"
    source_mpp: float | None = 0.5
    patients_per_diagnosis: int = 4
    external: bool = True
    demonstration: bool = True
    mark: str = ""
    trained: bool = True
    seeds: tuple[int, ...] = (0, 1)
    folds: int = 3
    published: bool = False
    title: str = "Do generated tiles help on another hospital's slides?"
    seed: int = 0


def build(folder: Path, wanted: Wanted | None = None) -> dict[str, Any]:
    """Writes the study into `folder`; returns the arguments of the report's `run`, outputs included."""
    wanted = wanted or Wanted()
    rng = np.random.default_rng(wanted.seed)
    folder.mkdir(parents=True, exist_ok=True)
    source = _tile_set(folder / "tiles.zip", _source_cases(wanted), 3, rng, blind=False)
    write_manifest(folder / "manifest.csv", source)
    external = _tile_set(folder / "external.zip", _external_cases(wanted), 4, rng, blind=True)
    write_manifest(folder / "external.csv", external)
    plan = _plan(source, wanted)
    plan.write(folder / "plan.json")
    study = StudyPlan(
        arms=ARMS,
        seeds=list(wanted.seeds),
        class_map=wanted.diagnoses,
        external_sites=["Nordhafen", "Turin"] if wanted.external else [],
        tile_level_sites=["Turin"] if wanted.external else [],
        demonstration=wanted.demonstration,
        marks=["um/px of Turin is unknown"] if wanted.external else [],
    )
    study.write(folder / "study.json")
    tile = _tile_record(folder / "tile.json", source, wanted)
    _tile_record(folder / "external_tile.json", external, wanted)
    split = _split_record(folder / "split.json", source, plan, tile)
    schemes = ["binary", "diagnosis"]
    finals, folds, predictions = [], [], []
    for fold in plan.folds:
        for scheme in schemes:
            path = folder / f"classifier_{scheme}_{fold}.json"
            _chain(path, scheme, fold, split, wanted, rng)
            (finals if fold == "all" else folds).append(str(path))
            if fold != "all":
                arms = [arm for arm in ARMS if (scheme_of(arm) or "binary") == scheme]
                csv = folder / f"predictions_{scheme}_{fold}.csv"
                _predictions(plan.rows(source, fold, "test"), arms, fold, wanted, rng).to_csv(csv, index=False)
                predictions.append(str(csv))
    _predictions(external, ARMS, "all", wanted, rng).to_csv(folder / "external_predictions.csv", index=False)
    with StageRecord(folder / "external_eval.json", "external_eval") as record:
        record.set(EvaluationRecord(tiles=0, patients=0, classifiers=0, study="", endpoint="", vote="", threshold=""))
    synthetic = [_synthetic(folder / f"synthetic_{scheme}.zip", scheme, wanted, rng) for scheme in schemes]
    _gap(folder / "gap", source, external, synthetic, wanted, rng)
    with StageRecord(folder / "umap.json", "umap", seed=0) as record:
        record.set(
            UmapRecord(
                tiles_there_are=90,
                tiles=90,
                extractor="resnet50",
                extractor_sha256="ab" * 32,
                extractor_trained=True,
                extractor_px=224,
                extractor_resize="bilinear",
                neighbors=15,
                min_dist=0.1,
            )
        )
    return {
        "manifest": str(folder / "manifest.csv"),
        "tiles": str(folder / "tiles.zip"),
        "plan": str(folder / "plan.json"),
        "study": str(folder / "study.json"),
        "external_labels": str(folder / "external.csv"),
        "external_tiles": str(folder / "external.zip"),
        "synthetic": synthetic,
        "predictions": predictions,
        "external_predictions": str(folder / "external_predictions.csv"),
        "gap": str(folder / "gap"),
        "tile_record": str(folder / "tile.json"),
        "external_tile_record": str(folder / "external_tile.json"),
        "split_record": str(folder / "split.json"),
        "final_records": finals,
        "fold_records": folds,
        "evaluation_record": str(folder / "external_eval.json"),
        "umap_record": str(folder / "umap.json"),
        "data_card": _data_card(folder, "tiles", source),
        "external_data_card": _data_card(folder, "external", external),
        "generators": [_generator(folder, scheme) for scheme in schemes],
        "report": str(folder / "report.html"),
        "verdict": str(folder / "report.md"),
        "report_record": str(folder / "report.json"),
        "options": ReportOptions(title=wanted.title),
        "shared": SharedOptions(published=wanted.published),
    }


def tile(rng: np.random.Generator, label: int, stain: int, side: int = 32) -> Pixels:
    """A pink tile with nuclei: larger and paler in class 1; `stain` shifts the colours."""
    large = 128
    ground = np.array([[236, 205, 222], [226, 188, 214], [240, 214, 206]][stain], float)
    noise = rng.normal(0, 7, (large, large, 1)) + rng.normal(0, 3, (large, large, 3))
    image = Image.fromarray(np.clip(ground + noise, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(18 + 14 * label):
        x, y = rng.uniform(0, large, 2)
        r = rng.uniform(4, 6) + 3 * label
        colour = tuple(int(one) for one in np.array([96, 62, 128]) + 40 * label + rng.integers(-12, 12, 3))
        draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)
    return np.array(image.resize((side, side), Image.Resampling.BOX))


def _data_card(folder: Path, name: str, table: pd.DataFrame) -> str:
    page = folder / f"{name}_card.html"
    with ImageArchive(folder / f"{name}.zip") as archive:
        write_card(card_of_tiles(archive, table), page, folder / f"{name}_card.json")
    return str(page)


def _generator(folder: Path, scheme: str) -> str:
    made = folder / f"generator_{scheme}"
    made.mkdir(exist_ok=True)
    seen = {"label_scheme": scheme, "fold": "all", "patients": 14, "tiles_of_classes": ["other: 30", "PTC-like: 12"]}
    write_json(made / CARD, {"network": {"kind": "StyleGAN2-ADA generator", "parameters": 12345}, "seen": seen})
    return str(made)


def _source_cases(wanted: Wanted) -> list[dict[str, Any]]:
    cases = []
    for diagnosis, label in wanted.diagnoses.items():
        for place in range(wanted.patients_per_diagnosis):
            patient = f"RAWID-{diagnosis}-{place}"
            row = {"label": label, "patient": patient, "case": patient, "diagnosis": diagnosis}
            cases.append({**row, "site": wanted.source_site, "mpp": wanted.source_mpp})
    # one person with a second, benign case
    cases.append(
        {**cases[-1], "case": cases[-1]["patient"] + "-second", "label": 0, "diagnosis": next(iter(wanted.diagnoses))}
    )
    return cases


def _external_cases(wanted: Wanted) -> list[dict[str, Any]]:
    if not wanted.external:
        return []
    cases = []
    for diagnosis, label in wanted.diagnoses.items():
        for place in range(5):
            patient = f"RAWEXT-{diagnosis}-{place}"
            row = {"label": label, "patient": patient, "case": patient, "diagnosis": diagnosis}
            cases.append({**row, "site": "Nordhafen", "mpp": 0.5})
        cases.append({"label": label, "patient": "", "case": "", "diagnosis": diagnosis, "site": "Turin", "mpp": None})
    return cases


def _tile_set(
    path: Path, cases: list[dict[str, Any]], tiles: int, rng: np.random.Generator, blind: bool
) -> pd.DataFrame:
    """Writes the archive; returns its manifest with labels."""
    stains = {"Nordhafen": 1, "Turin": 2}
    labels = []
    with ArchiveWriter(path) as archive:
        for case in cases:
            who = identity(KEY, case["site"], case["patient"]) if case["patient"] else ""
            for place in range(tiles):
                pixels = tile(rng, case["label"], stains.get(case["site"], 0))
                row = {**case, "source": f"{case['case']}.png", "x": 32 * place, "y": 0, "identity": who}
                labels.append((case["label"], case["diagnosis"]))
                archive.add(pixels, {**row, "label": None, "diagnosis": ""} if blind else row)
        archive.attach(RECORDS, [])
    with ImageArchive(path) as archive:
        table = archive.manifest
    return table.assign(
        label=pd.array([label for label, _ in labels], "Int64"), diagnosis=[diagnosis for _, diagnosis in labels]
    )


def _plan(source: pd.DataFrame, wanted: Wanted) -> SplitPlan:
    """Patients dealt to folds in turn; the next fold's test patients validate."""
    people = source.drop_duplicates("identity").sort_values(["diagnosis", "identity"])["identity"].tolist()
    tests = [sorted(people[fold :: wanted.folds]) for fold in range(wanted.folds)]
    folds = {}
    for fold in range(wanted.folds):
        val = tests[(fold + 1) % wanted.folds][::2]
        seen = {*tests[fold], *val}
        folds[str(fold)] = {"train": sorted(set(people) - seen), "val": val, "test": tests[fold]}
    folds["all"] = {"train": sorted(set(people) - set(people[::5])), "val": sorted(people[::5]), "test": []}
    return SplitPlan(KEY_ID, folds, f"stratified {wanted.folds}-fold, seed 0", ("1 patient has two cases",))


def _tile_record(path: Path, table: pd.DataFrame, wanted: Wanted) -> list[dict[str, Any]]:
    sites = []
    for site, rows in table.groupby("site"):
        known = rows[rows["patient"] != ""]
        mpp = rows["mpp"].iloc[0]
        sites.append(
            SiteRow(
                site=site,
                images=rows["source"].nunique(),
                slides=0,
                tiles=len(rows),
                patients=known["patient"].nunique(),
                cases=known["case"].nunique(),
                class0=int((rows["label"] == 0).sum()),
                class1=int((rows["label"] == 1).sum()),
                mpp=None if pd.isna(mpp) else float(mpp),
                source_mpp=None,
                small="pad",
                small_images=0,
                tile_level=known.empty,
            )
        )
    with StageRecord(path, "tile") as record:
        record.set(
            TileRecord(
                tile_px=512,
                resolution=32,
                tiles=len(table),
                images=sum(site.images for site in sites),
                patients=sum(site.patients for site in sites),
                mpp=float("nan"),
                sites=sites,
                skipped=[SkippedImage("RAWID-PTC-9_img1.jpg", "truncated image")] if len(table) else [],
            )
        )
    return [_timed(record, 12.5)]


def _split_record(
    path: Path, source: pd.DataFrame, plan: SplitPlan, tile: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    rows = []
    for fold in plan.folds:
        for part in ("train", "val", "test"):
            chosen = plan.rows(source, fold, part)
            by_class = chosen.groupby("label")["patient"].nunique()
            rows.append(
                PartRow(
                    fold=fold,
                    part=part,
                    patients=chosen["patient"].nunique(),
                    cases=chosen["case"].nunique(),
                    tiles=len(chosen),
                    class0=int(by_class.get(0, 0)),
                    class1=int(by_class.get(1, 0)),
                )
            )
    with StageRecord(path, "split", upstream=tile) as record:
        patients, cases = source["patient"].nunique(), source["case"].nunique()
        record.set(SplitRecord(0, patients, cases, plan.origin, folds=rows, notes=list(plan.notes)))
        record["folds"] = len(plan.test_folds)
    return [*tile, _timed(record, 0.4)]


def _chain(
    path: Path, scheme: str, fold: str, upstream: list[dict[str, Any]], wanted: Wanted, rng: np.random.Generator
) -> None:
    """pack, gan_train, fid_select, generate and classifier_cv of one item."""
    known = {"scheme": scheme, "fold": fold}
    classes = _classes(scheme, wanted)
    records = list(upstream)

    def write(stage: str, seconds: float, results: Any) -> None:
        with StageRecord(path, stage, upstream=records, **known) as record:
            record.set(results)
        records.append(_timed(record, seconds))

    rows = [ClassRow(**one, tiles=15, held_out=4) for one in classes]
    write("pack", 1.1, PackRecord(tiles=30, held_out_tiles=8, resolution=32, classes=rows))
    write("gan_train", 190.0, _gan_record())
    selection = _selection_record(classes, wanted, rng)
    write("fid_select", 33.0, selection)
    arms = [arm for arm in ARMS if (scheme_of(arm) or "binary") == scheme and arm not in ("none", "stain-aug")]
    write(
        "generate",
        5.0,
        GenerationRecord(
            extractor="efficientnet_lite0",
            extractor_sha256="57934424" * 8,
            extractor_trained=wanted.trained,
            extractor_px=224,
            extractor_resize="bilinear",
            tiles=60,
            resolution=32,
            near_copies=2 if fold == "0" else 0,
            generator_sha256="cd" * 32,
            psi=1.0,
            truncated_towards="nothing",
            seed=0,
            arms=[
                ArmCountRow(arm, one["index"], one["name"], one["label"], train_tiles=15, added=15)
                for arm in arms
                for one in classes
            ],
        ),
    )
    classifiers = [
        ClassifierRow(
            arm=arm,
            seed=seed,
            epochs=30,
            best_epoch=17,
            val_auroc=0.8,
            real_tiles=30,
            added_tiles=30 if arm in arms else 0,
            threshold=0.5,
            mark=wanted.mark if arm == "bi100" else "",
        )
        for arm in ARMS
        if (scheme_of(arm) or "binary") == scheme
        for seed in wanted.seeds
    ]
    write(
        "classifier_cv",
        80.0,
        ClassifierRecord(
            backbone="efficientnet_lite0",
            input_px=224,
            backbone_trained=wanted.trained,
            weights_sha256="57934424" * 8,
            tiles_without_stain=0,
            classifier_seeds=len(wanted.seeds),
            published=False,
            arms=classifiers,
        ),
    )
    own = records.pop()
    write_json(path, {**own, "upstream": records})


def _gan_record() -> GanRecord:
    return GanRecord(
        kimg=24,
        tiles=30,
        classes=2,
        resolution=32,
        batch=16,
        gamma=0.1,
        learning_rate=0.002,
        ema_kimg=5.0,
        seed=0,
        augment="ada",
        augment_p=0.1,
        precision="fp32",
        symmetry="mirror",
        parameters_g=1000,
        parameters_d=1000,
        device="cpu",
        processes=1,
        sec_per_kimg=8.0,
    )


def _selection_record(classes: list[dict[str, Any]], wanted: Wanted, rng: np.random.Generator) -> SelectionRecord:
    start = rng.uniform(180, 240)
    counts = {"images": 2000, "tiles": 30, "tiles_held_out": 8, "full": True}
    snapshots = [
        SnapshotRow(
            kimg=kimg,
            chosen=False,
            fid=float(40 + start * np.exp(-kimg / 9) + rng.normal(0, 4)),
            kid=float(0.02 + 0.15 * np.exp(-kimg / 9)),
            kid_se=0.003,
            fid_held_out=float(70 + start * np.exp(-kimg / 9)),
            kid_held_out=0.05,
            precision=0.61,
            recall=0.34,
            classes=[ClassDistances(name=one["name"], kid=0.03, **counts) for one in classes],
            **counts,
        )
        for kimg in (4, 8, 12, 16, 20, 24)
    ]
    best = min(snapshots, key=lambda row: row.kid)
    return SelectionRecord(
        extractor="efficientnet_lite0",
        extractor_sha256="57934424" * 8,
        extractor_trained=wanted.trained,
        extractor_px=224,
        extractor_resize="bilinear",
        rule="least KID on training tiles",
        reason="least KID on training tiles",
        images=2000,
        noise="const",
        screening_images=0,
        images_drawn=12000,
        images_spared=0,
        chosen_kimg=best.kimg,
        seed=0,
        fid=best.fid,
        kid=best.kid,
        snapshots=[replace(row, chosen=row is best) for row in snapshots],
    )


def _timed(record: StageRecord, seconds: float) -> dict[str, Any]:
    return {**record.to_dict(), "seconds": seconds}


def _classes(scheme: str, wanted: Wanted) -> list[dict[str, Any]]:
    if scheme == "binary":
        return [{"index": 0, "name": "other", "label": 0}, {"index": 1, "name": "PTC-like", "label": 1}]
    names = sorted(wanted.diagnoses)
    return [{"index": place, "name": name, "label": wanted.diagnoses[name]} for place, name in enumerate(names)]


def _predictions(
    table: pd.DataFrame, arms: list[str], fold: str, wanted: Wanted, rng: np.random.Generator
) -> pd.DataFrame:
    parts = []
    for arm in arms:
        for seed in wanted.seeds:
            sign = 2 * table["label"].to_numpy(float) - 1
            score = STRENGTH[arm] * sign + rng.normal(0, 1.6, len(table))
            probability = 1 / (1 + np.exp(-score))
            parts.append(
                pd.DataFrame(
                    {
                        "tile": table["file"],
                        "patient": table["patient"],
                        "case": table["case"],
                        "site": table["site"],
                        "diagnosis": table["diagnosis"],
                        "class": table["label"],
                        "pred_class": (probability >= 0.5).astype(int),
                        "prob_positive": probability.round(6),
                        "arm": arm,
                        "fold": fold,
                        "seed": seed,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _synthetic(path: Path, scheme: str, wanted: Wanted, rng: np.random.Generator) -> str:
    classes = _classes(scheme, wanted)
    arm = "bi100" if scheme == "binary" else "mc100"
    with ArchiveWriter(path) as archive:
        for one in classes:
            for seed in range(12):
                row = {"label": one["label"], "class": one["index"], "diagnosis": one["name"], "site": "synthetic"}
                archive.add(tile(rng, one["label"], 0), {**row, "seed": seed, "psi": 1.0, "generator": "cd" * 32})
        archive.attach(LINEAGE, Lineage(KEY_ID, "plan", "all", scheme, ["00"]).to_dict())
        archive.attach(CLASSES, classes)
        archive.attach(ARM_COUNTS, {arm: {str(one["index"]): 10 for one in classes}})
        archive.attach(RECORDS, [])
    return str(path)


def _gap(
    folder: Path,
    source: pd.DataFrame,
    external: pd.DataFrame,
    synthetic: list[str],
    wanted: Wanted,
    rng: np.random.Generator,
) -> None:
    folder.mkdir(exist_ok=True)
    pseudonyms = patient_pseudonyms([*source["identity"], *external["identity"]])
    points = []
    for role, table in (("source", source), ("external", external)):
        for row in table.to_dict("records"):
            shift = {"Nordhafen": 3.0, "Turin": 6.0}.get(row["site"], 0.0)
            points.append(
                {
                    "x": float(rng.normal(shift)),
                    "y": float(rng.normal(row["label"])),
                    "role": role,
                    "domain": row["site"],
                    "class": ["other", "PTC-like"][row["label"]],
                    "diagnosis": row["diagnosis"],
                    "patient": pseudonyms.get(row["identity"], ""),
                    "arm": "",
                    "tile": thumbnail(tile(rng, row["label"], {"Nordhafen": 1, "Turin": 2}.get(row["site"], 0))),
                }
            )
    points += [
        {**point, "role": "synthetic", "domain": "synthetic (binary)", "patient": "", "diagnosis": "", "arm": "bi100"}
        for point in points[:20]
    ]
    about = {"extractor": "resnet50", "neighbors": 15, "min_dist": 0.1, "seed": 0}
    write_json(folder / UMAP_POINTS, {**about, "points": points})
    rows = []
    for target in ["Nordhafen", "Turin"] if wanted.external else []:
        for metric, value in (
            ("Fréchet domain distance", 31.4),
            ("KID", 0.21),
            ("kNN mixing", 0.12),
            ("domain-classifier AUC", 0.97),
        ):
            row = {"source": wanted.source_site, "target": target, "metric": metric}
            rows.append({**row, "value": value, "low": value * 0.8, "high": value * 1.2, "with_arm": "", "gap": ""})
            for arm, gap in (("bi100", "not shown"), ("mc100", "fell")):
                lower = {"value": 0.9 * value, "low": 0.7 * value, "high": 1.1 * value, "with_arm": arm, "gap": gap}
                rows.append(
                    {**row, **lower, "change": -0.1 * value, "change_low": -0.2 * value, "change_high": 0.1 * value}
                )
    columns = [
        "source",
        "target",
        "metric",
        "value",
        "low",
        "high",
        "with_arm",
        "change",
        "change_low",
        "change_high",
        "gap",
    ]
    pd.DataFrame(rows, columns=columns).to_csv(folder / DOMAIN_GAP, index=False)


def variant(**changes: Any) -> Wanted:
    """The default study with changes."""
    return replace(Wanted(), **changes)
