"""fid_select: which snapshot becomes the generator, by a rule that was stated before."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from components.core.data.archive import CLASSES, LINEAGE, ImageArchive, Pixels
from components.core.errors import ConfigError, DataError
from components.core.features.cache import feature_cache
from components.core.features.extractors import Extractor, load_extractor
from components.core.io.atomic_files import atomic_write, read_json, write_json, write_text
from components.core.protocol.lineage import Lineage
from components.core.records.stage_record import RECORDS, StageRecord
from components.core.runtime.progress import log
from components.core.stylegan2.snapshot import ARTIFACT_FILE
from components.core.telemetry.stage import instrumented
from components.fid_select.card import generator_card
from components.fid_select.page import draw_page, shown_places
from components.fid_select.screening import Ruler, Screening
from components.fid_select.selection_rule import Choice, check_rule, why_not_held_out
from components.fid_select.snapshot_samples import Snapshot, find_snapshots, make_draw

SELECTION, CARD = "selection.json", "card.json"
PROTOCOL_IMAGES = 50_000
_SHOWN = 10  # images of each class on the page


@instrumented
def run(
    *,
    snapshots: str,
    dataset: str,
    held_out: str,
    generator: str,
    page: str,
    metrics: str,
    rule: str = "kid_held_out",
    images: int = 50000,
    screening_images: int = 2000,
    finalists: int = 3,
    cache_uri: str = "",
    extractor: str = "efficientnet_lite0",
    extractor_px: int = 224,
    weights_dir: str = "",
    batch: int = 64,
    seed: int = 0,
    device: str = "auto",
) -> None:
    """Measures every snapshot against the real tiles with fixed seeds and selects one by a stated rule.

    Args:
        snapshots: GanSnapshots folder of gan_train.
        dataset: GanDataset (zip) that it was trained on.
        held_out: HeldOut (zip): tiles of the same fold's inner-validation patients.
        generator: Generator folder to write: the chosen snapshot, its card and the evidence of its selection.
        page: HTML page to write: the generator's card, curves, the table, and sample grids of the snapshots.
        metrics: JSON file for the stage's record.
        rule: kid_held_out = lowest class-mean KID to the held-out tiles; fid_train = lowest FID to the training tiles.
        images: Images drawn from each measured snapshot, with the classes' shares of the data; the protocol's are
            50000.
        screening_images: Images of every snapshot in a first round by KID, after which only the front-runners are drawn
            in full; 0 = all are.
        finalists: Snapshots that are measured in full at least; more where the first round cannot tell them apart.
        cache_uri: Folder or s3://bucket/prefix that keeps features of tiles and snapshots, so that a killed run goes
            on where it was and tiles are looked at once; empty = nothing is kept.
        extractor: efficientnet_lite0, resnet50, resnet101, inception2015 (the published FID's network), or a network
            of your own: NAME of a NAME.json in the weights folder or bucket.
        extractor_px: Side of the extractor's input in pixels, a multiple of 32; inception2015 always takes 299, a
            network of your own what its file says.
        weights_dir: Folder or s3://bucket/prefix with weights files; empty = THYGAN_WEIGHTS, installed packages, user
            cache, bucket, mirror, URL.
        batch: Images per pass through a network, at least 1.
        seed: Seed of classes, latents and subsets, the same for every snapshot.
        device: auto, cpu, cuda or cuda:N.

    Raises:
        ConfigError: An option that cannot be meant.
        DataError: No snapshot, or one of other classes or another side than the data's.
        WeightsError: The extractor's weights are missing or not what they claim.
        StoreError: The cache cannot be reached.
    """
    check_rule(rule)
    if min(batch, finalists) < 1 or min(seed, screening_images) < 0:
        raise ConfigError(
            f"batch is {batch}, finalists {finalists}, screening_images {screening_images}, seed {seed}: give a batch "
            "and finalists of at least 1, screening images and a seed of at least 0."
        )
    folder = Path(snapshots)
    found = find_snapshots(folder)
    lineage = Lineage.read(folder / LINEAGE)
    upstream = read_json(folder / RECORDS) if (folder / RECORDS).exists() else None
    with (
        ImageArchive(dataset) as real,
        ImageArchive(held_out) as unseen,
        StageRecord(metrics, "fid_select", upstream=upstream, fold=lineage.fold, scheme=lineage.scheme) as record,
    ):
        classes = real.attachment(CLASSES)
        if not classes or not (folder / CLASSES).exists() or classes != read_json(folder / CLASSES):
            raise DataError(f"{snapshots} and {dataset} have different classes: give the data that it was trained on.")
        network = load_extractor(extractor, weights_dir=weights_dir, device=device, input_px=extractor_px)
        few = screening_images if 0 < screening_images < images and finalists < len(found) else images
        draw = make_draw(
            real.manifest["label"].to_numpy(np.int64), [one["index"] for one in classes], images, few, seed
        )
        choice = Choice(rule, why_not_held_out(unseen.manifest, classes, lineage.patients))
        with feature_cache(cache_uri, network) as cache:
            ruler = Ruler.on(real, unseen, classes, network, cache, batch, seed)
            race = Screening.run(found, draw, few, finalists, choice, ruler)
        chosen, reason = choice.best(race.rows)
        rows = [{**row, "chosen": place == chosen} for place, row in enumerate(race.rows)]
        log(f"chosen: {reason}")
        notes = _notes(network, rows[chosen], choice)
        for name, value in {
            **network.record(),
            "rule": rule,
            "reason": reason,
            "images": images,
            "noise": "const",
            "snapshots": len(rows),
            "screening_images": few if few < images else 0,
            "images_drawn": race.drawn,
            "images_spared": race.spared,
            "chosen_kimg": rows[chosen]["kimg"],
            "fid": rows[chosen]["fid"],
            "kid": rows[chosen]["kid"],
            "seed": seed,
        }.items():
            record[name] = value
        record.table("snapshots", rows)
        record.table("notes", notes)

        card = generator_card(found[chosen], record.chain(), lineage, classes)
        _write_generator(Path(generator), found[chosen], lineage, classes, record, card)
        heading = f"Generator · fold {lineage.fold} · {lineage.scheme}"
        measured_with = (
            f"Measured in features of {network.title} (weights {network.weights_sha256[:12] or 'none'}, "
            f"{network.resize}), seed {seed}, stored noise. {race.cost}"
        )
        reals = {one["name"]: _first(real, one["index"]) for one in classes}
        fakes = {
            place: {
                one["name"]: found[place].pictures(
                    draw.shown(one["index"], _SHOWN), real.resolution, batch, network.device
                )
                for one in classes
            }
            for place in shown_places(len(rows), chosen)
        }
        write_text(page, draw_page(heading, card, measured_with, reason, notes, rows, reals, fakes))


def _write_generator(
    generator: Path,
    snapshot: Snapshot,
    lineage: Lineage,
    classes: list[dict[str, Any]],
    record: StageRecord,
    card: dict[str, Any],
) -> None:
    with atomic_write(generator) as beside:
        beside.mkdir()
        # its JSON, and its class centres where it has them, go by the same name
        for file in snapshot.path.parent.glob(f"{snapshot.path.stem}.*"):
            shutil.copyfile(file, beside / (Path(ARTIFACT_FILE).stem + file.name.removeprefix(snapshot.path.stem)))
        write_json(beside / LINEAGE, lineage.to_dict())
        write_json(beside / CLASSES, classes)
        write_json(beside / SELECTION, {**record.own(), "snapshot": snapshot.path.name, "sha256": snapshot.sha256})
        write_json(beside / CARD, card)
        write_json(beside / RECORDS, record.chain())


def _first(archive: ImageArchive, index: int) -> list[Pixels]:
    """Tiles of a class, spread over the archive and so over its patients."""
    of_class = archive.manifest.loc[archive.manifest["label"] == index, "file"].tolist()
    places = np.linspace(0, len(of_class) - 1, min(_SHOWN, len(of_class))).astype(int)
    return list(archive.images([of_class[place] for place in places]))


def _notes(network: Extractor, chosen: dict[str, Any], choice: Choice) -> list[str]:
    notes = []
    if not network.trained:
        notes.append(f"The extractor {network.title}. Nothing here may be used to compare generators.")
    if chosen["images"] < PROTOCOL_IMAGES:
        notes.append(
            f"FID of {chosen['images']} images and {chosen['tiles']} tiles, not the protocol's {PROTOCOL_IMAGES}: "
            "biased upwards."
        )
    if choice.why_not and choice.rule == "kid_held_out":
        notes.append(f"The held-out tiles did not decide: {choice.why_not}.")
    return notes
