"""generate: the synthetic tiles of every arm, a manifest row each."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from components.core.archive import CLASSES, LINEAGE, ArchiveWriter, ImageArchive, Pixels
from components.core.device import pick_device
from components.core.errors import ConfigError, DataError
from components.core.features import load_extractor
from components.core.files import file_sha256, read_json, write_text
from components.core.lineage import Lineage, refuse_leak
from components.core.progress import track
from components.core.results import RECORDS, Record
from components.core.splits import SplitPlan
from components.core.stylegan2 import Generator
from components.core.stylegan2.snapshot import ARTIFACT_FILE, load_generator
from components.core.telemetry import watched
from components.generate.arms import added, arms_of, pool
from components.generate.drawing import Seen, Source, draw_class
from components.generate.memorisation import make_gate
from components.generate.page import draw_page

COUNTS = "arms.json"
_SHOWN = 18  # images of each class on the page


@watched
def run(
    *,
    generator: str,
    dataset: str,
    held_out: str,
    plan: str,
    fold: str,
    synthetic: str,
    page: str,
    metrics: str,
    scheme: str = "binary",
    arms: Sequence[str] = ("bi100",),
    psi: float = 1.0,
    seed: int = 0,
    batch: int = 32,
    extractor: str = "efficientnet_lite0",
    extractor_px: int = 224,
    weights_dir: str = "",
    device: str = "auto",
    near_copy_gate: bool = True,
    allow_leakage: bool = False,
    trust_origin: str = "",
) -> None:
    """Draws the synthetic tiles that the arms of one scheme add, and drops near-copies of training tiles.

    Args:
        generator: Generator folder of fid_select.
        dataset: GanDataset (zip) of the fold: its training counts make the arms, its tiles must not come back.
        held_out: HeldOut (zip) of the fold: real tiles that set the threshold of a near-copy.
        plan: SplitPlan (JSON).
        fold: Fold of the plan whose classifier the tiles are for, "0", "1", … or "all".
        synthetic: SyntheticTiles (zip) to write.
        page: HTML page to write: real beside generated, and the near-copies.
        metrics: JSON file for the stage's record.
        scheme: The generator's classes: "binary" or "diagnosis".
        arms: Arms of the study; those of another scheme, without a generator, and controls are passed over.
        psi: Truncation, 0 (every image the mean) to 1 (none).
        seed: Seed from which the latent seed of every image follows, at least 0.
        batch: Images per pass through a network, at least 1; it changes no image by more than a grey level.
        extractor: Feature extractor of the near-copy gate: efficientnet_lite0, resnet50, resnet101 or inception2015.
        extractor_px: Side of the extractor's input in pixels, a multiple of 32.
        weights_dir: Folder with weights files; empty = THYGAN_WEIGHTS, installed packages, cache, mirror, URL.
        device: auto, cpu, cuda or cuda:N.
        near_copy_gate: Drop images that are near-copies of a training tile and draw others.
        allow_leakage: Go on with a generator that saw validation or test patients; every number is marked.
        trust_origin: Where a generator comes from whose patients cannot be proven disjoint; printed with every number.

    Raises:
        ConfigError: An option that cannot be meant.
        DataError: Generator and data do not belong together, or the generator has memorised its tiles.
        LeakageError: The generator saw a validation or test patient of the fold.
        WeightsError: The extractor's weights are missing or not what they claim.
    """
    if batch < 1 or seed < 0 or not (math.isfinite(psi) and 0 <= psi <= 1):
        raise ConfigError(
            f"batch is {batch}, seed {seed}, psi {psi}: give a batch of at least 1, a seed of at least 0, psi in 0..1."
        )
    folder, split_plan, on = Path(generator), SplitPlan.read(plan), pick_device(device)
    lineage = _lineage(folder, fold, scheme, trust_origin)
    mark = refuse_leak(
        lineage,
        split_plan.key_id,
        split_plan.part(fold, "val", "test"),
        f"The generator of fold {lineage.fold} ({lineage.scheme})",
        allow_leakage,
        trust_origin,
    )
    upstream = read_json(folder / RECORDS) if (folder / RECORDS).exists() else None
    with (
        ImageArchive(dataset) as real,
        ImageArchive(held_out) as unseen,
        Record(metrics, "generate", upstream=upstream, fold=fold, scheme=scheme) as record,
    ):
        G = load_generator(folder, on)
        classes = _classes(folder, G, real, lineage, scheme)
        tiles = {one["index"]: int((real.manifest["label"] == one["index"]).sum()) for one in classes}
        counts = {arm: added(arm, tiles) for arm in arms_of(arms, scheme)}
        wanted = pool(counts)
        gate = None
        if near_copy_gate and wanted:
            network = load_extractor(extractor, weights_dir=weights_dir, device=device, input_px=extractor_px)
            gate = make_gate(network, real, unseen, batch)
            record["near_copy_threshold"] = gate.threshold
            for name, value in network.record().items():
                record[name] = value

        source, seen = Source(G, seed, psi, batch, on), Seen()
        common = {"site": "synthetic", "mpp": _mpp(real), "psi": psi, "generator": file_sha256(folder / ARTIFACT_FILE)}
        shown: dict[int, list[Pixels]] = {one["index"]: [] for one in classes}
        with ArchiveWriter(synthetic) as archive:
            for one in classes:
                index, total = one["index"], wanted.get(one["index"], 0)
                drawn = draw_class(source, index, total, gate, real, seen)
                for image, latent in track(drawn, f"fold {fold} · {scheme}: drawing {one['name']}", total, "tiles"):
                    row = {"label": one["label"], "class": index, "diagnosis": one["name"], "seed": latent}
                    archive.add(image, {**common, **row})
                    if len(shown[index]) < _SHOWN:
                        shown[index].append(image)
            record["tiles"], record["near_copies"] = sum(wanted.values()), seen.near_copies
            record["near_copy_gate"], record["mark"] = gate is not None, mark
            record["psi"], record["seed"] = psi, seed
            table = [
                {
                    "arm": arm,
                    "class": one["index"],
                    "name": one["name"],
                    "label": one["label"],
                    "train_tiles": tiles[one["index"]],
                    "added": of_arm.get(one["index"], 0),
                }
                for arm, of_arm in counts.items()
                for one in classes
            ]
            record.table("arms", table)
            if not (lineage.patients and lineage.key_id == split_plan.key_id):
                lineage = replace(lineage, trusted=trust_origin)
            archive.attach(LINEAGE, lineage.to_dict())
            archive.attach(CLASSES, classes)
            archive.attach(COUNTS, {arm: {str(index): n for index, n in one.items()} for arm, one in counts.items()})
            archive.attach(RECORDS, record.chain())
        samples = {
            one["name"]: (_spread(real, one["index"]), shown[one["index"]]) for one in classes if shown[one["index"]]
        }
        said = [
            f"{sum(wanted.values())} images at psi {psi:g}, stored noise; the seed of each stands in the manifest.",
            f"{seen.near_copies} near-copies were dropped and replaced.",
            gate.rule if gate else "The near-copy gate was off.",
        ]
        marks = [mark] if mark else []
        if gate and not gate.extractor.trained:
            marks.append(f"The near-copy gate looked through {gate.extractor.title}.")
        heading = f"Synthetic tiles · fold {fold} · {scheme}"
        write_text(page, draw_page(heading, said, marks, table, samples, seen.dropped, seen.closest))


def _lineage(folder: Path, fold: str, scheme: str, trust_origin: str) -> Lineage:
    """The generator's lineage; an empty one where its origin is stated and it carries none."""
    if trust_origin and not (folder / LINEAGE).exists():
        return Lineage(key_id="", plan="", fold=fold, scheme=scheme)
    return Lineage.read(folder / LINEAGE)


def _classes(folder: Path, G: Generator, real: ImageArchive, lineage: Lineage, scheme: str) -> list[dict[str, Any]]:
    """The classes of the data, once generator and data are found to belong together."""
    classes = real.attachment(CLASSES)
    if not classes or not (folder / CLASSES).exists() or read_json(folder / CLASSES) != classes:
        raise DataError(
            f"{folder} and {real.path} have different classes: give the generator and the data of one scheme."
        )
    if lineage.scheme != scheme or len(classes) != G.c_dim:
        raise DataError(
            f"The generator in {folder} has {G.c_dim} classes of the scheme {lineage.scheme}, asked for are "
            f"{len(classes)} of {scheme}: give the generator of that scheme."
        )
    if G.img_resolution != real.resolution:
        raise DataError(
            f"The generator in {folder} draws {G.img_resolution} px and the tiles of {real.path} have "
            f"{real.resolution} px: give the data that it was trained on."
        )
    return classes


def _mpp(real: ImageArchive) -> float | None:
    """Micrometres per pixel of the tiles that the generator imitates; None when unknown or mixed."""
    known = real.manifest["mpp"].unique()
    return None if len(known) != 1 or np.isnan(known[0]) else float(known[0])


def _spread(archive: ImageArchive, index: int) -> list[Pixels]:
    """Tiles of a class, spread over the archive and so over its patients."""
    of_class = archive.manifest.loc[archive.manifest["label"] == index, "file"].tolist()
    places = np.linspace(0, len(of_class) - 1, min(_SHOWN, len(of_class))).astype(int)
    return list(archive.images([of_class[place] for place in places]))
