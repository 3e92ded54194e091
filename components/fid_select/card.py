"""The generator's card: what it is, what it has seen, how good it is and what it is for, from the run's own records."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from safetensors import safe_open

from components.core.io.atomic_files import read_json
from components.core.protocol.lineage import Lineage
from components.core.records.fid_select import SelectionRecord
from components.core.records.gan_train import GanRecord
from components.core.records.pack import PackRecord
from components.core.records.stage_record import find_record
from components.fid_select.snapshot_samples import Snapshot

_USE = {
    "made_for": "Tiles that are added to the training of a tile classifier of the same study and fold.",
    "not_made_for": "Diagnosis, teaching what tissue looks like, or evaluation: its tiles are evidence of no disease.",
    "known_limits": [
        "It can only draw what its training patients show, their rare findings least of all.",
        "It may have memorised single tiles: the generate stage looks for near-copies, no proof of none.",
        "Distances are comparable only for one extractor, input size, number of images and set of real tiles.",
    ],
}


def generator_card(
    snapshot: Snapshot,
    records: Sequence[Mapping[str, Any]],
    selection: SelectionRecord,
    lineage: Lineage,
    classes: Sequence[dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """The card's values by section.

    Args:
        snapshot: The chosen snapshot.
        records: Records of every stage up to this one.
        selection: This stage's own.
        lineage: What the snapshot has seen.
        classes: `index`, `name`, `label` of each class.
    """
    arguments = read_json(snapshot.path.with_suffix(".json"))["arguments"]
    pack = find_record(PackRecord, "pack", records)
    row = selection.generator_row
    with safe_open(snapshot.path, "pt") as tensors:
        parameters = sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return {
        "network": {
            "kind": "StyleGAN2-ADA generator, moving average of the weights",
            "resolution": f"{arguments['img_resolution']} px",
            "classes": [f"{entry['index']}: {entry['name']}" for entry in classes],
            "parameters": parameters,
            "thousands_of_images_trained_with": snapshot.kimg,
            "sha256": snapshot.sha256,
        },
        "seen": {
            "tiles": row.tiles,
            "tiles_of_classes": [f"{entry.name}: {entry.tiles}" for entry in pack.classes] if pack else [],
            "patients": len(lineage.patients) or None,
            "fold": lineage.fold,
            "label_scheme": lineage.scheme,
            "split_plan_sha256": lineage.plan,
            "origin_taken_on_trust": lineage.trusted or "no",
        },
        "training": _training(find_record(GanRecord, "gan_train", records)),
        "selection": {
            "rule": selection.rule,
            "reason": selection.reason,
            "fid": row.fid,
            "kid": row.kid,
            "kid_se": row.kid_se,
            "fid_held_out": row.fid_held_out,
            "kid_held_out": row.kid_held_out,
            "kid_held_out_se": row.kid_held_out_se,
            "precision": row.precision,
            "recall": row.recall,
            "density": row.density,
            "coverage": row.coverage,
            "images": row.images,
            "held_out_tiles": row.tiles_held_out,
            "extractor": selection.extractor,
            "extractor_trained": selection.extractor_trained,
            "extractor_input": selection.extractor_resize,
            "extractor_sha256": selection.extractor_sha256,
            "caveats": selection.notes,
        },
        "use": _USE,
    }


def _training(record: GanRecord | None) -> dict[str, Any]:
    """How the network was trained; None = not stated, as for a network from elsewhere."""
    if record is None:
        return {"record": None}
    return {
        "kimg": record.kimg,
        "batch": record.batch,
        "learning_rate": record.learning_rate,
        "gamma": record.gamma,
        "ema_kimg": record.ema_kimg,
        "augment": record.augment,
        "symmetry": record.symmetry,
        "precision": record.precision,
        "resume_from": record.resume_from or "new weights",
        "seed": record.seed,
        "stopped": record.stopped or "no",
    }
