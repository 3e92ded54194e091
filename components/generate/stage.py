"""generate: the synthetic tiles of every arm, a manifest row each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from components.core.data.archive import CLASSES, LINEAGE, ArchiveWriter, ImageArchive, Pixels
from components.core.data.archive_reference import localize
from components.core.errors import ConfigError, DataError
from components.core.features.extractors import Extractor, load_extractor
from components.core.io.atomic_files import file_sha256, read_json, write_text
from components.core.protocol.lineage import Lineage, refuse_leak
from components.core.protocol.split_plan import SplitPlan
from components.core.records.stage_record import RECORDS, StageRecord
from components.core.runtime.device import pick_devices
from components.core.runtime.progress import track
from components.core.stylegan2 import Generator
from components.core.stylegan2.centres import centres_of
from components.core.stylegan2.snapshot import ARTIFACT_FILE, load_generator
from components.core.telemetry.live import count_items
from components.core.telemetry.stage import instrumented
from components.generate.card import synthetic_card
from components.generate.fidelity import Tally, fidelity_row
from components.generate.inspection import Inspection, make_inspection
from components.generate.multi_gpu import GeneratorPool, GeneratorWorker
from components.generate.page import draw_page
from components.generate.rejection_sampling import draw_class
from components.generate.sampling_plan import make_sampling_plan

COUNTS, CARD = "arms.json", "card.json"
_SHOWN = 18  # images of each class on the page


@instrumented
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
    gan_params: dict[str, str] | None = None,
    allow_leakage: bool = False,
    trust_origin: str = "",
) -> None:
    """Draws the synthetic tiles that the arms of one scheme add, drops near-copies, and looks whether classes hold.

    Args:
        generator: Generator folder of fid_select.
        dataset: GanDataset (zip) of the fold: its training counts make the arms, its tiles must not come back.
        held_out: HeldOut (zip) of the fold: real tiles that set the thresholds of a near-copy.
        plan: SplitPlan (JSON).
        fold: Fold of the plan whose classifier the tiles are for, "0", "1", … or "all".
        synthetic: SyntheticTiles (zip) to write.
        page: HTML page to write: real beside generated, the near-copies, the set's card.
        metrics: JSON file for the stage's record.
        scheme: The generator's classes: "binary" or "diagnosis".
        arms: Arms of the study; those of another scheme, without a generator, and controls are passed over.
        psi: Truncation, 0 (every image the mean of its class) to 1 (none).
        seed: Seed from which the latent seed of every image follows, at least 0.
        batch: Images per pass through a network, at least 1; it changes no image by more than a grey level.
        extractor: What looks at the tiles: efficientnet_lite0, resnet50, resnet101, inception2015, or a network of your
            own: NAME of a NAME.json in the weights folder or bucket.
        extractor_px: Side of the extractor's input in pixels, a multiple of 32; inception2015 always takes 299, a
            network of your own what its file says.
        weights_dir: Folder or s3://bucket/prefix with weights files; empty = THYGAN_WEIGHTS, installed packages, user
            cache, bucket, mirror, URL.
        device: auto (every GPU, or the CPU where there is none), cpu, cuda (every GPU), cuda:N, or several with commas.
        near_copy_gate: Drop images that are near-copies of a training tile and draw others.
        gan_params: Arm -> Thy-GAN's file of generation parameters, or its text: taken in place of the counts that
            follow from the training tiles; the end of a range of seeds is left out, as its loader did.
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
    folder, split_plan, devices = Path(generator), SplitPlan.read(plan), pick_devices(device)
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
        TemporaryDirectory() as scratch,
        ImageArchive(localize(dataset, Path(scratch))) as real,  # gate, fidelity and page read all of it
        ImageArchive(localize(held_out, Path(scratch))) as unseen,
        StageRecord(metrics, "generate", upstream=upstream, fold=fold, scheme=scheme) as record,
    ):
        generators = [load_generator(folder, one) for one in devices]
        classes = _classes(folder, generators[0], real, lineage, scheme)
        tiles = {one["index"]: int((real.manifest["label"] == one["index"]).sum()) for one in classes}
        orders = make_sampling_plan(arms, scheme, tiles, classes, gan_params or {}, seed)
        wanted, common = orders.wanted, _common(folder, real, psi)
        extractors = [
            load_extractor(extractor, weights_dir=weights_dir, device=str(one), input_px=extractor_px)
            for one in devices
        ]
        centres = None if psi == 1 else centres_of(folder, generators[0])
        inspection = make_inspection(extractors[0], real, unseen, batch, gated=near_copy_gate and bool(wanted))
        seen, made = inspection.seen, {one["index"]: Tally() for one in classes}
        shown: dict[int, list[Pixels]] = {one["index"]: [] for one in classes}
        pairs = zip(generators, extractors, strict=True)
        with (
            ArchiveWriter(synthetic) as archive,
            GeneratorPool([GeneratorWorker(G, network, centres, psi) for G, network in pairs]) as hands,
        ):
            for one in classes:
                index, total = one["index"], wanted.get(one["index"], 0)
                drawn = draw_class(hands, inspection, index, orders.firsts[index], total, batch, made[index])
                looked = track(
                    count_items(drawn, total), f"fold {fold} · {scheme}: drawing {one['name']}", total, "tiles"
                )
                for image, latent in looked:
                    row = {"label": one["label"], "class": index, "diagnosis": one["name"], "seed": latent}
                    archive.add(image, {**common, **row})
                    if len(shown[index]) < _SHOWN:
                        shown[index].append(image)

            fidelity = _fidelity(classes, made, inspection)
            table = _arms_table(orders.counts, classes, tiles)
            for name, value in {
                **extractors[0].record(),
                "tiles": sum(wanted.values()),
                "resolution": real.resolution,
                "mpp": common["mpp"],
                "near_copies": sum(seen.near_copies.values()),
                "near_copy_gate": near_copy_gate,
                "near_copy_ratio": inspection.gate.ratio if inspection.gate else None,
                "near_copy_apart": inspection.gate.apart if inspection.gate else None,
                "generator_sha256": common["generator"],
                "psi": psi,
                "truncated_towards": "nothing" if psi == 1 else "the mean of each class",
                "seed": seed,
                "mark": mark,
            }.items():
                record[name] = value
            record.table("arms", table)
            record.table("classes", fidelity)
            if not (lineage.patients and lineage.key_id == split_plan.key_id):
                lineage = replace(lineage, trusted=trust_origin)
            rule = inspection.gate.rule if inspection.gate else ""
            card = synthetic_card(record.to_dict(), lineage, orders.counts, rule)
            archive.attach(LINEAGE, lineage.to_dict())
            archive.attach(CLASSES, classes)
            counts = {arm: {str(index): n for index, n in one.items()} for arm, one in orders.counts.items()}
            archive.attach(COUNTS, counts)
            archive.attach(CARD, card)
            archive.attach(RECORDS, record.chain())
        samples = {
            one["name"]: (_spread(real, one["index"]), shown[one["index"]]) for one in classes if shown[one["index"]]
        }
        said = [
            f"{sum(wanted.values())} images at psi {psi:g}, stored noise; the seed of each stands in the manifest.",
            f"{sum(seen.near_copies.values())} near-copies were dropped; the seeds that follow took their places.",
            rule or "The near-copy gate was off.",
        ]
        heading = f"Synthetic tiles · fold {fold} · {scheme}"
        marks = _marks(mark, extractors[0], fidelity)
        write_text(page, draw_page(heading, said, marks, table, fidelity, samples, seen.dropped, seen.closest, card))


def _common(folder: Path, real: ImageArchive, psi: float) -> dict[str, Any]:
    """What every manifest row says."""
    known = real.manifest["mpp"].unique()
    mpp = None if len(known) != 1 or np.isnan(known[0]) else float(known[0])  # None: unknown or mixed
    return {"site": "synthetic", "mpp": mpp, "psi": psi, "generator": file_sha256(folder / ARTIFACT_FILE)}


def _fidelity(
    classes: Sequence[dict[str, Any]], made: Mapping[int, Tally], inspection: Inspection
) -> list[dict[str, Any]]:
    rows, told_apart = [], len(classes) if inspection.reader else 1
    for one in classes:
        index = one["index"]
        row = fidelity_row(
            one["name"], told_apart, made[index], inspection.train_tallies[index], inspection.held_out_tallies[index]
        )
        rows.append({**row, "class": index, "near_copies": inspection.seen.near_copies.get(index, 0)})
    return rows


def _arms_table(
    counts: Mapping[str, Mapping[int, int]], classes: Sequence[dict[str, Any]], tiles: Mapping[int, int]
) -> list[dict[str, Any]]:
    return [
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


def _marks(mark: str, network: Extractor, fidelity: Sequence[dict[str, Any]]) -> list[str]:
    marks = [mark] if mark else []
    if not network.trained:
        marks.append(f"The tiles were looked at through {network.title}.")
    return marks + [f"Alarm: {row['alarm']}." for row in fidelity if row["alarm"]]


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


def _spread(archive: ImageArchive, index: int) -> list[Pixels]:
    """Tiles of a class, spread over the archive and so over its patients."""
    of_class = archive.manifest.loc[archive.manifest["label"] == index, "file"].tolist()
    places = np.linspace(0, len(of_class) - 1, min(_SHOWN, len(of_class))).astype(int)
    return list(archive.images([of_class[place] for place in places]))
