"""The generator's card: what it is, what it has seen, how good it is and what it is for, from the run's own records."""

import math
from collections.abc import Sequence
from typing import Any

from safetensors import safe_open

from components.core.io.atomic_files import read_json
from components.core.protocol.lineage import Lineage
from components.fid_select.snapshot_samples import Snapshot

_TRAINING = (
    "kimg",
    "batch",
    "learning_rate",
    "gamma",
    "ema_kimg",
    "augment",
    "symmetry",
    "precision",
    "resume_from",
    "seed",
    "stopped",
)
_WHERE_EMPTY = {"resume_from": "new weights", "stopped": "no"}
_MEASURED = ("fid", "kid", "kid_se", "fid_held_out", "kid_held_out", "kid_held_out_se")
_COVERED = ("precision", "recall", "density", "coverage")
_USE = {
    "made_for": "Tiles that are added to the training of a tile classifier of the same study and fold.",
    "not_made_for": "Diagnosis, teaching what tissue looks like, or evaluation: its tiles are evidence of no disease.",
    "known_limits": [
        "It can only draw what its training patients show, their rare findings least of all.",
        "It may have learnt single tiles by heart: the generate stage looks for near-copies, nothing proves there are "
        "none.",
        "Distances are comparable only for one extractor, input size, number of images and set of real tiles.",
    ],
}


def generator_card(
    snapshot: Snapshot, records: Sequence[dict[str, Any]], lineage: Lineage, classes: Sequence[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The card's values by section.

    Args:
        snapshot: The chosen one.
        records: Of every stage up to this one, its own last.
        lineage: What the snapshot has seen.
        classes: `index`, `name`, `label` of each class.
    """
    arguments = read_json(snapshot.path.with_suffix(".json"))["arguments"]
    trained: dict[str, Any] = next((one for one in records if one["stage"] == "gan_train"), {})
    packed: dict[str, Any] = next((one for one in records if one["stage"] == "pack"), {})
    own = records[-1]
    row = next(one for one in own["tables"]["snapshots"] if one["chosen"])
    with safe_open(snapshot.path, "pt") as tensors:
        numbers = sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return {
        "network": {
            "kind": "StyleGAN2-ADA generator, moving average of the weights",
            "resolution": f"{arguments['img_resolution']} px",
            "classes": [f"{one['index']}: {one['name']}" for one in classes],
            "parameters": numbers,
            "thousands_of_images_trained_with": snapshot.kimg,
            "sha256": snapshot.sha256,
        },
        "seen": {
            "tiles": row["tiles"],
            "tiles_of_classes": [
                f"{one['name']}: {one['tiles']}" for one in packed.get("tables", {}).get("classes", [])
            ],
            "patients": len(lineage.patients) or None,
            "fold": lineage.fold,
            "label_scheme": lineage.scheme,
            "split_plan_sha256": lineage.plan,
            "origin_taken_on_trust": lineage.trusted or "no",
        },
        "training": {name: _of_training(trained, name) for name in _TRAINING},
        "selection": {
            "rule": own["rule"],
            "reason": own["reason"],
            **{name: row[name] for name in _MEASURED + _COVERED},
            "images": row["images"],
            "held_out_tiles": row["tiles_held_out"],
            "extractor": own["extractor"],
            "extractor_trained": own["extractor_trained"],
            "extractor_input": own["extractor_resize"],
            "extractor_sha256": own["extractor_sha256"],
            "caveats": own["tables"]["notes"],
        },
        "use": _USE,
    }


def _of_training(record: dict[str, Any], name: str) -> Any:
    """A value of gan_train's record, in words where it is empty; None = the record has none, as those of older runs."""
    value = record.get(name)
    return _WHERE_EMPTY[name] if value == "" else value
