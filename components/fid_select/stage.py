"""fid_select: which snapshot becomes the generator, by a rule that was stated before."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from components.core.archive import CLASSES, LINEAGE, ImageArchive, Pixels
from components.core.errors import ConfigError, DataError
from components.core.features import Extractor, features_of, load_extractor
from components.core.files import file_sha256, read_json, write_json, write_text, written
from components.core.lineage import Lineage
from components.core.progress import say
from components.core.results import RECORDS, Record
from components.core.stylegan2.sampling import generate_images
from components.core.stylegan2.snapshot import ARTIFACT_FILE, load_generator
from components.core.telemetry import watched
from components.fid_select.choice import check_rule, choose, why_not_held_out
from components.fid_select.measure import LEAST, Sample, measure, read_sample
from components.fid_select.page import draw_page

Classes = npt.NDArray[np.int64]

SELECTION = "selection.json"
PROTOCOL_IMAGES = 50_000
_SHOWN = 10  # images of each class on the page


@watched
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
        generator: Generator folder to write: the chosen snapshot and the evidence of its selection.
        page: HTML page to write: curves, the table, and sample grids of the snapshots.
        metrics: JSON file for the stage's record.
        rule: kid_held_out = lowest class-mean KID to the held-out tiles; fid_train = lowest FID to the training tiles.
        images: Images drawn from each snapshot, with the classes' shares of the data; the protocol's are 50000.
        extractor: efficientnet_lite0, resnet50, resnet101, or inception2015 (the published FID's network).
        extractor_px: Side of the extractor's input in pixels, a multiple of 32; inception2015 always takes 299.
        weights_dir: Folder with weights files; empty = THYGAN_WEIGHTS, installed packages, cache, mirror, URL.
        batch: Images per pass through a network, at least 1.
        seed: Seed of classes, latents and subsets, the same for every snapshot.
        device: auto, cpu, cuda or cuda:N.

    Raises:
        ConfigError: An option that cannot be meant.
        DataError: No snapshot, or one of other classes or another side than the data's.
        WeightsError: The extractor's weights are missing or not what they claim.
    """
    check_rule(rule)
    if batch < 1 or seed < 0:
        raise ConfigError(f"batch is {batch} and seed {seed}: give a batch of at least 1 and a seed of at least 0.")
    folder = Path(snapshots)
    found = _snapshots(folder)
    lineage = Lineage.read(folder / LINEAGE)
    upstream = read_json(folder / RECORDS) if (folder / RECORDS).exists() else None
    with (
        ImageArchive(dataset) as real,
        ImageArchive(held_out) as unseen,
        Record(metrics, "fid_select", upstream=upstream, fold=lineage.fold, scheme=lineage.scheme) as record,
    ):
        classes = real.attachment(CLASSES)
        if not classes or not (folder / CLASSES).exists() or classes != read_json(folder / CLASSES):
            raise DataError(f"{snapshots} and {dataset} have different classes: give the data that it was trained on.")
        network = load_extractor(extractor, weights_dir=weights_dir, device=device, input_px=extractor_px)
        drawn, seeds = _draws(real.manifest["label"].to_numpy(np.int64), classes, images, seed)
        train = read_sample(real, network, batch, "features of training tiles")
        other = read_sample(unseen, network, batch, "features of held-out tiles")
        rows, shown = [], []
        for kimg, path in found:
            fakes, first = _fakes(path, kimg, real.resolution, drawn, seeds, network, batch)
            rows.append({"kimg": kimg, **measure(fakes, train, other, classes, seed)})
            shown.append({one["name"]: first[one["index"]] for one in classes})
            say(f"{kimg:g} kimg: FID {rows[-1]['fid']:.4g} in features of {network.title}")

        why_not = why_not_held_out(unseen.manifest, classes, lineage.patients)
        chosen, reason = choose(rows, rule, why_not)
        for place, row in enumerate(rows):
            row["chosen"] = place == chosen
        notes = _notes(network, images, len(train.features), rule, why_not)
        for name, value in {
            **network.record(),
            "rule": rule,
            "reason": reason,
            "images": images,
            "noise": "const",
            "snapshots": len(rows),
            "chosen_kimg": rows[chosen]["kimg"],
            "fid": rows[chosen]["fid"],
            "kid": rows[chosen]["kid"],
            "seed": seed,
        }.items():
            record[name] = value
        record.table("snapshots", rows)
        record.table("notes", notes)

        _write_generator(Path(generator), found[chosen][1], lineage, classes, record)
        heading = f"Generator selection · fold {lineage.fold} · {lineage.scheme}"
        measured_with = (
            f"Measured in features of {network.title} (weights {network.weights_sha256[:12] or 'none'}, "
            f"{network.resize}) on {images} images of each snapshot, seed {seed}, stored noise."
        )
        reals = {one["name"]: _first(real, one["index"]) for one in classes}
        write_text(page, draw_page(heading, measured_with, reason, notes, rows, reals, shown))


def _snapshots(folder: Path) -> list[tuple[float, Path]]:
    """kimg and file of every snapshot, in the order of training."""
    found = sorted(
        (read_json(path.with_suffix(".json"))["kimg"], path) for path in folder.glob("network-snapshot-*.safetensors")
    )
    if not found:
        raise DataError(f"{folder} holds no network-snapshot-*.safetensors: give the snapshots folder of gan_train.")
    return found


def _draws(labels: Classes, classes: list[dict[str, Any]], images: int, seed: int) -> tuple[Classes, list[int]]:
    """Class and latent seed of each image: labels of uniformly drawn training tiles, as in the FID's protocol.

    A class that the draw leaves with too few images to measure takes the first places.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.choice(labels, images)
    kinds = [one["index"] for one in classes]
    if min(int((drawn == kind).sum()) for kind in kinds) < LEAST:
        if images < LEAST * len(kinds):
            raise ConfigError(f"{images} images of {len(kinds)} classes are too few to measure: raise --images.")
        drawn[: LEAST * len(kinds)] = np.repeat(kinds, LEAST)
    return drawn, rng.integers(0, 2**32, images).tolist()


def _fakes(
    path: Path, kimg: float, side_px: int, drawn: Classes, seeds: list[int], network: Extractor, batch: int
) -> tuple[Sample, dict[int, list[Pixels]]]:
    """A snapshot's images as features, and the first of each class for the page."""
    G = load_generator(path, network.device)
    if G.img_resolution != side_px:
        raise DataError(
            f"{path} draws {G.img_resolution} px and the tiles have {side_px} px: give its own training data."
        )
    first: dict[int, list[Pixels]] = {index: [] for index in drawn.tolist()}

    def made() -> Iterator[Pixels]:
        images = generate_images(G, seeds, drawn.tolist(), batch=batch, device=network.device)
        for image, index in zip(images, drawn.tolist(), strict=True):
            if len(first[index]) < _SHOWN:
                first[index].append(image)
            yield image

    features = features_of(network, made(), batch, f"{kimg:g} kimg: drawing and looking", len(seeds))
    return Sample(features, drawn), first


def _write_generator(
    generator: Path, snapshot: Path, lineage: Lineage, classes: list[dict[str, Any]], record: Record
) -> None:
    with written(generator) as beside:
        beside.mkdir()
        shutil.copyfile(snapshot, beside / ARTIFACT_FILE)
        shutil.copyfile(snapshot.with_suffix(".json"), (beside / ARTIFACT_FILE).with_suffix(".json"))
        write_json(beside / LINEAGE, lineage.to_dict())
        write_json(beside / CLASSES, classes)
        write_json(beside / SELECTION, {**record.own(), "snapshot": snapshot.name, "sha256": file_sha256(snapshot)})
        write_json(beside / RECORDS, record.chain())


def _first(archive: ImageArchive, index: int) -> list[Pixels]:
    """Tiles of a class, spread over the archive and so over its patients."""
    of_class = archive.manifest.loc[archive.manifest["label"] == index, "file"].tolist()
    places = np.linspace(0, len(of_class) - 1, min(_SHOWN, len(of_class))).astype(int)
    return list(archive.images([of_class[place] for place in places]))


def _notes(network: Extractor, images: int, tiles: int, rule: str, why_not: str) -> list[str]:
    notes = []
    if not network.trained:
        notes.append(f"The extractor {network.title}. Nothing here may be used to compare generators.")
    if images < PROTOCOL_IMAGES:
        notes.append(f"FID of {images} images and {tiles} tiles, not the protocol's {PROTOCOL_IMAGES}: biased upwards.")
    if why_not and rule == "kid_held_out":
        notes.append(f"The held-out tiles did not decide: {why_not}.")
    return notes
