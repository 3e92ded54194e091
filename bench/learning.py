"""Trains on real tiles with several seeds, and measures whether the generator learns as the original does.

    python bench/learning.py TILES OUT --reference learning-torino64.json       64 px, 12 kimg, as the original's curve
    python bench/learning.py TILES OUT --resolution 32 --kimg 60 --every 6 --no-easy     smaller, for longer trainings

TILES is a folder of images/ and labels.json (two classes). OUT holds the trainings: the same command resumes them, and
extends them where --kimg is larger. The options are those of the original's curve; distances are Fréchet distances on
EfficientNet-Lite0, 1000 generated tiles against all real ones. A logistic regression on features of the real tiles
measures whether the classes of the generated ones are separable: by AUROC, because its threshold means nothing for
tiles that are close to the real ones; the accuracy at that threshold is shown, too. Widths and gamma of another size
follow from those at 64 px. A last training, on 100 tiles with a fast ADA, shows whether r_t stays at 0.6.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cyclopts
import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.file_names import CLASSES, LINEAGE, RECORDS
from components.core.features.extract import Features, features_of
from components.core.features.extractors import load_extractor
from components.core.fidelity.fid import frechet_distance
from components.core.io.atomic_files import read_json
from components.core.stylegan2.sampling import generate_images
from components.core.stylegan2.snapshot import load_generator

RESOLUTION, FAKES, EASY_TILES, KIMG, EVERY_KIMG = 64, 1000, 100, 12.0, 3.0
TARGET, TOLERANCE = 0.6, 0.1  # for ADA's r_t
TRAINING = {
    "kimg": KIMG,
    "snapshot-kimg": EVERY_KIMG,
    "batch": 16,
    "channel-base": 4096,
    "channel-max": 128,
    "mapping-layers": 2,
    "learning-rate": 0.0025,
    "gamma": 0.05,
    "ema-kimg": 2,
    "ada-kimg": 50,
    "precision": "fp32",
    "checkpoint-minutes": 5,
}
EASY = {"kimg": KIMG, "ada-kimg": 5, "snapshot-kimg": 0.5, "stop-on-collapse": False}  # r_t is measured to the end


def options_at(resolution: int) -> dict[str, Any]:
    """Options of the original's curve, with width and regularisation for a resolution."""
    share = resolution / RESOLUTION
    width, gamma = int(TRAINING["channel-base"] * share), TRAINING["gamma"] * share**2
    return {**TRAINING, "channel-base": width, "gamma": gamma}


def pack(tiles: Path, target: Path, resolution: int, limit: int = 0) -> None:
    """Writes a GanDataset of all tiles, or of `limit` of each class."""
    labels = dict(read_json(tiles / "labels.json")["labels"])
    seen = dict.fromkeys(labels.values(), 0)
    with ArchiveWriter(target) as archive:
        for name, label in sorted(labels.items()):
            seen[label] += 1
            if limit and seen[label] > limit:
                continue
            image = Image.open(tiles / "images" / name).convert("RGB")
            pixels = np.asarray(image.resize((resolution, resolution), Image.Resampling.LANCZOS))
            site = {"label": label, "patient": "unknown", "case": "unknown", "diagnosis": "", "site": tiles.name}
            archive.add(pixels, {**site, "identity": "unknown"})
        archive.attach(CLASSES, [{"index": i, "name": str(i), "label": i} for i in sorted(seen)])
        plan = {"key_id": "", "plan": "", "fold": "all", "scheme": "binary", "patients": ["unknown"], "trusted": ""}
        archive.attach(LINEAGE, plan)
        archive.attach(RECORDS, [{"stage": "pack", "tiles": len(labels)}])


def train(dataset: Path, folder: Path, options: dict[str, Any], seed: int, threads: int) -> Path:
    """Trains in a separate process, which resumes where it was interrupted; returns the folder of snapshots."""
    snapshots = folder / "snapshots"
    if not (snapshots.exists() and _length(snapshots) >= options["kimg"]):
        shutil.rmtree(snapshots, ignore_errors=True)  # the checkpoints hold its content
        folder.mkdir(parents=True, exist_ok=True)
        outputs = {"snapshots": snapshots, "gan-page": folder / "page.html", "gan-record": folder / "record.json"}
        places = {"dataset": dataset, **outputs, "checkpoint-uri": folder / "checkpoints"}
        values = places | options | {"seed": seed, "threads": threads}
        words = [word for name, value in values.items() for word in _option(name, value)]
        with (folder / "log.txt").open("a") as log:
            command = [sys.executable, "-m", "components.gan_train", *words]
            subprocess.run(command, check=True, stdout=log, stderr=log)
    return snapshots


def _length(snapshots: Path) -> float:
    return max(read_json(file)["kimg"] for file in snapshots.glob("network-snapshot-*.json"))


def _option(name: str, value: Any) -> list[str]:
    return [f"--{'' if value else 'no-'}{name}"] if isinstance(value, bool) else [f"--{name}", str(value)]


def curve_of(snapshots: Path, real: Features, labels: Sequence[int], judge: Any, extractor: Any) -> list[dict]:
    """Fréchet distance, and the scores of the real tiles' classifier for generated tiles, at each snapshot."""
    classes = np.random.default_rng(0).choice(np.asarray(labels), FAKES)
    rows = []
    for file in sorted(snapshots.glob("*.safetensors")):
        images = generate_images(load_generator(file), range(FAKES), classes.tolist())
        fake = features_of(extractor, images, 32, f"{snapshots.parent.name} {file.stem[-10:]}", FAKES)
        scores = judge.decision_function(fake)
        is_correct = (scores > 0) == classes
        rows.append(
            {
                "kimg": read_json(file.with_suffix(".json"))["kimg"],
                "distance": frechet_distance(fake, real),
                "auroc": float(roc_auc_score(classes, scores)),
                "accuracy": float(np.mean([is_correct[classes == kind].mean() for kind in set(classes.tolist())])),
            }
        )
    return rows


def show_curves(curves: dict[int, list[dict]], real_accuracy: float, reference: dict[str, Any] | None) -> None:
    """Prints a Markdown table: distances by seed, their mean, and the original's."""
    original = [point["fd"] for point in reference["curve"]] if reference else []
    heads = [*(f"seed {seed}" for seed in curves), "mean", "original", "ratio", "AUROC", "accuracy"]
    print(f"\n| kimg | {' | '.join(heads)} |\n|{' --- |' * (len(heads) + 1)}")
    for index, points in enumerate(zip(*curves.values(), strict=True)):
        mean = float(np.mean([point["distance"] for point in points]))
        cells = [f"{points[0]['kimg']:.0f}", *(f"{point['distance']:.0f}" for point in points), f"{mean:.0f}"]
        cells += [f"{original[index]:.0f}", f"**{mean / original[index]:.2f}**"] if index < len(original) else ["", ""]
        cells.append(", ".join(f"{point['auroc']:.2f}" for point in points))
        print("| " + " | ".join([*cells, ", ".join(f"{point['accuracy']:.0%}" for point in points)]) + " |")
    if original:
        places = range(len(original))[-3:]
        last = [np.mean([curve[place]["distance"] for curve in curves.values()]) for place in places]
        print(f"\nlast three points: {np.mean(last) / np.mean(original[-3:]):.3f} times the original's")
    chance = 0.5 + 1.96 / (6 * FAKES / (FAKES + 1) * FAKES / 2) ** 0.5  # a rank test on two halves
    print(f"real tiles themselves, cross-validated: {real_accuracy:.1%}; an AUROC up to {chance:.3f} is chance")


def show_ada(snapshots: Path) -> None:
    """Prints r_t of the easy set: when it crossed its target, and where it stayed."""
    rows = [json.loads(line) for line in (snapshots / "stats.jsonl").read_text().splitlines()]
    crossed = next((row["kimg"] for row in rows if row["sign_real"] >= TARGET), None)
    last = [row for row in rows if row["kimg"] > KIMG * 2 / 3]
    thirds = [float(np.mean([row["sign_real"] for row in part])) for part in np.array_split(np.array(last), 3)]
    is_stable = all(abs(r_t - TARGET) <= TOLERANCE for r_t in thirds)
    signs = [row["sign_real"] for row in last]
    means, verdict = ", ".join(f"{r_t:.2f}" for r_t in thirds), "within" if is_stable else "NOT within"
    print(
        f"\n{EASY_TILES} tiles, ADA in 5 kimg: r_t reached {TARGET} at {crossed} kimg; over the last third its "
        "means over\n"
        f"1.3 kimg were {means}, {verdict} {TOLERANCE} of it, those of single ticks {min(signs):.2f} to\n"
        f"{max(signs):.2f}; p ended at {rows[-1]['augment_p']:.2f}"
    )


def main(
    tiles: Path,
    out: Path,
    /,
    *,
    reference: Path | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
    jobs: int = 2,
    threads: int = 1,
    kimg: float = KIMG,
    every: float = EVERY_KIMG,
    resolution: int = RESOLUTION,
    easy: bool = True,
    weights: str = "",
) -> None:
    """Trains, measures and prints.

    Args:
        tiles: Folder of images/ and labels.json.
        out: Folder of the trainings.
        reference: File of the original's curve.
        seeds: Seed of each training.
        jobs: Number of trainings at once.
        threads: CPU threads of each training.
        kimg: Length of the trainings, kimg; the original's curve ends at 12.
        every: Distance between snapshots, kimg.
        resolution: Side of the tiles, pixels.
        easy: True = train on the easy tiles, too.
        weights: Folder of the extractor's weights; empty = thygan's usual places.
    """
    out.mkdir(parents=True, exist_ok=True)
    datasets = {"all": out / "tiles.zip", "easy": out / "easy.zip"}
    for name, path in datasets.items():
        if not path.exists():
            pack(tiles, path, resolution, limit=EASY_TILES // 2 if name == "easy" else 0)
    options = options_at(resolution) | {"snapshot-kimg": every}
    runs = [(datasets["all"], out / f"seed{seed}", options | {"kimg": kimg}, seed, threads) for seed in seeds]
    if easy:
        runs.append((datasets["easy"], out / "easy", options | EASY, 0, threads))
    with ThreadPoolExecutor(jobs) as pool:
        trained = list(pool.map(lambda run: train(*run), runs))

    extractor = load_extractor("efficientnet_lite0", weights_dir=weights)
    with ImageArchive(datasets["all"]) as archive:
        labels = archive.manifest["label"].astype(int).tolist()
        real = features_of(extractor, archive.images(), 32, "real tiles", len(labels))
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    accuracy = float(np.mean(cross_val_predict(judge, real, labels, cv=5) == np.asarray(labels)))
    judge.fit(real, labels)
    curves = {
        seed: curve_of(path, real, labels, judge, extractor)
        for seed, path in zip(seeds, trained[: len(seeds)], strict=True)
    }
    print(f"torch {torch.__version__}, CPU, {jobs} trainings at once with {threads} thread(s) each; {extractor.name}")
    show_curves(curves, accuracy, read_json(reference) if reference else None)
    if easy:
        show_ada(trained[-1])


if __name__ == "__main__":
    cyclopts.run(main)
