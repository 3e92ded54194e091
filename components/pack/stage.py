"""Packs one fold's training patients for the GAN, and its inner-validation patients to select the GAN by."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.file_names import CLASSES, LINEAGE, RECORDS
from components.core.data.images import STORED, decode, encode_png
from components.core.data.manifest import check_labels, class_map
from components.core.errors import ConfigError, DataError, LeakageError
from components.core.protocol.lineage import Lineage, key_of
from components.core.protocol.split_plan import SplitPlan, patients_without_fold
from components.core.protocol.study_plan import BINARY, DIAGNOSIS
from components.core.records.pack import ClassRow, PackRecord
from components.core.records.stage_record import StageRecord
from components.core.runtime.progress import track
from components.core.telemetry.stage import instrumented

_HEAD_BYTES = 41  # of a PNG: signature, IHDR, and length and name of its first IDAT


@instrumented
def run(
    *,
    tiles: str,
    plan: str,
    dataset: str,
    held_out: str,
    pack_record: str,
    fold: str,
    scheme: str = BINARY,
) -> None:
    """Packs the tiles of one fold's training patients in StyleGAN's form, and apart those of its validation patients.

    Args:
        tiles: TileSet (zip) with labels.
        plan: SplitPlan (JSON) of its manifest.
        dataset: GanDataset (zip) to write: training patients only.
        held_out: HeldOut (zip) to write: inner-validation patients only, never test patients.
        pack_record: Record (JSON) to write.
        fold: Fold of the plan, "0", "1", … or "all".
        scheme: Label scheme of the classes: "binary" (the label) or "diagnosis" (in alphabetical order).

    Raises:
        ConfigError: An unknown scheme.
        DataError: Tiles of another plan, damaged tiles or tiles of several sizes, a class without a training tile, a
            side that is not a power of two, or a plan that was changed after it was written.
        LeakageError: Identities of another study key.
        StoreError: A destination that cannot be written, or is full.
    """
    if scheme not in (BINARY, DIAGNOSIS):
        raise ConfigError(f"--scheme {scheme!r} is not known: give {BINARY} or {DIAGNOSIS}.")
    split_plan = SplitPlan.read(plan)
    with (
        ImageArchive(tiles) as source,
        StageRecord(pack_record, "pack", upstream=source.attachment(RECORDS), fold=fold, scheme=scheme) as record,
    ):
        known = source.manifest[source.manifest["identity"] != ""]
        _check_plan(known, split_plan, fold, tiles)
        _check_resolution(source.resolution, tiles)
        classes = _read_classes(known, scheme)
        rows = {
            part: _with_class_index(split_plan.rows(known, fold, part), classes, scheme) for part in ("train", "val")
        }
        results = _summarize(rows, classes, source.resolution, fold)
        record.set(results)
        record["classes"] = ", ".join(f"{row.index} = {row.name}" for row in results.classes)  # for KFP's page
        for part, path in (("train", dataset), ("val", held_out)):
            lineage = Lineage(split_plan.key_id, split_plan.digest, fold, scheme, sorted(set(rows[part]["identity"])))
            attachments = {CLASSES: classes, LINEAGE: lineage.to_dict(), RECORDS: record.chain()}
            _pack(source, rows[part], path, attachments, f"fold {fold} · {scheme}: packing {part}")


def _summarize(
    rows: Mapping[str, pd.DataFrame], classes: Sequence[Mapping[str, Any]], resolution: int, fold: str
) -> PackRecord:
    """The stage's record; refuses a class that nothing can be trained on."""
    counts = {part: of_part["label"].value_counts() for part, of_part in rows.items()}
    table = [
        ClassRow(
            index=entry["index"],
            name=entry["name"],
            label=entry["label"],
            tiles=int(counts["train"].get(entry["index"], 0)),
            held_out=int(counts["val"].get(entry["index"], 0)),
        )
        for entry in classes
    ]
    empty = [row.name for row in table if not row.tiles]
    if empty:
        raise DataError(
            f"Class {empty[0]!r} has no tile of a training patient in fold {fold}: use fewer folds, more patients of "
            "it, or the binary scheme."
        )
    return PackRecord(len(rows["train"]), len(rows["val"]), resolution, table)


def _pack(source: ImageArchive, rows: pd.DataFrame, path: str, attachments: Mapping[str, Any], title: str) -> None:
    """Copies the tiles of these rows, pixels stored: StyleGAN's loaders decode every tile again in every epoch."""
    side_px = source.resolution
    form = encode_png(np.zeros((side_px, side_px, 3), np.uint8), STORED)
    tiles = source.map_entries(
        lambda file, data: _encode_stored(data, f"{file!r} in {source.path}", side_px, form), rows["file"]
    )
    with ArchiveWriter(path) as archive:
        packing = zip(track(tiles, title, len(rows), "tiles"), rows.itertuples(index=False, name=None), strict=True)
        for data, values in packing:
            archive.add(data, dict(zip(rows.columns, values, strict=True)))
        for name, value in attachments.items():
            archive.attach(name, value)


def _encode_stored(data: bytes, name: str, side_px: int, form: bytes) -> bytes:
    """A tile as a PNG of stored pixels; a tile that already has this form, as the tile stage writes it, is copied."""
    if len(data) == len(form) and data.startswith(form[:_HEAD_BYTES]):
        return data
    image = decode(data, name)
    if image.shape != (side_px, side_px, 3):
        raise DataError(
            f"{name} is {image.shape[1]}x{image.shape[0]} px and the first tile {side_px}x{side_px}: a GAN needs "
            "square tiles of one size; tile again."
        )
    return encode_png(image, STORED)


def _check_plan(known: pd.DataFrame, plan: SplitPlan, fold: str, tiles: str) -> None:
    """Refuses a tile set whose manifest is not the one that the plan splits."""
    if known.empty:
        raise DataError(f"{tiles} names no patient: give the labelled tile set whose manifest was split.")
    key = key_of(known["identity"])
    if key != plan.key_id:
        raise LeakageError(
            f"The identities of {tiles} have study key {key}, those of the plan {plan.key_id}, so they cannot "
            "be compared: tile and split again with one key."
        )
    absent = plan.part(fold, "train", "val") - set(known["identity"])
    strangers = patients_without_fold(plan, known["identity"])
    if absent or strangers:
        raise DataError(
            f"{tiles} and the plan do not belong together: {len(absent)} patients of fold {fold} have no tile, and "
            f"{len(strangers)} patients of the tiles are in no part of the plan; split the manifest of these tiles."
        )
    check_labels(known, tiles)


def _check_resolution(side_px: int, tiles: str) -> None:
    if side_px < 4 or side_px & (side_px - 1):
        raise DataError(
            f"{tiles} has tiles of {side_px} px: the GAN needs a power of two from 4 on; tile again with --resolution "
            f"{max(4, 1 << max(0, side_px - 1).bit_length() - 1)}."
        )


def _read_classes(known: pd.DataFrame, scheme: str) -> list[dict[str, Any]]:
    """`index, name, label` of every class, from all patients of the tile set: the same in every fold."""
    binary = class_map(known)
    if scheme == DIAGNOSIS:
        return [{"index": i, "name": name, "label": label} for i, (name, label) in enumerate(sorted(binary.items()))]
    names = {label: "+".join(sorted(name for name in binary if binary[name] == label)) for label in (0, 1)}
    return [{"index": label, "name": names[label] or f"class {label}", "label": label} for label in (0, 1)]


def _with_class_index(rows: pd.DataFrame, classes: Sequence[Mapping[str, Any]], scheme: str) -> pd.DataFrame:
    """Rows with the class index as label."""
    if scheme == BINARY:
        return rows
    index = {entry["name"]: entry["index"] for entry in classes}
    return rows.assign(label=rows["diagnosis"].map(index).astype("Int64"))
