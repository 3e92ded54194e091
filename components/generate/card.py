"""The synthetic set's card: what it is, how it was drawn, what was left out of it and what it is for."""

from collections.abc import Mapping
from typing import Any

from components.core.protocol.lineage import Lineage
from components.core.records.generate import ClassFidelityRow, GenerationRecord

_USE = {
    "made_for": "Training a tile classifier of the same study and fold, beside real tiles.",
    "not_made_for": "Diagnosis, teaching what tissue looks like, validation or test: these tiles show no patient.",
    "known_limits": [
        "The near-copy gate drops what is too similar to a training tile by two measures; it proves no privacy.",
        "What the training patients do not show, these tiles do not show either.",
        "A label is the class that the generator was conditioned on; no pathologist has seen the tiles.",
    ],
}


def synthetic_card(
    record: GenerationRecord, lineage: Lineage, counts: Mapping[str, Mapping[int, int]], rule: str
) -> dict[str, dict[str, Any]]:
    """The card's values by section.

    Args:
        record: The stage's record.
        lineage: What the generator has seen.
        counts: Arm -> class index -> number of images.
        rule: Definition of a near-copy, as sentences; '' = the near-copy gate was off.
    """
    return {
        "set": {
            "kind": "Generated tiles, one class each; no real tile, no patient",
            "tiles": record.tiles,
            "tiles_of_classes": [f"{row.name}: {row.generated}" for row in record.classes],
            "arms": [f"{arm}: {sum(of_arm.values())} tiles" for arm, of_arm in counts.items()],
            "side": f"{record.resolution} px",
            "micrometres_per_pixel": record.mpp,
        },
        "made": {
            "generator_sha256": record.generator_sha256,
            "psi": record.psi,
            "truncated_towards": record.truncated_towards,
            "noise": "stored in the network",
            "seed": record.seed,
            "latent_seeds": "in the manifest, one per tile",
        },
        "seen_by_the_generator": {
            "patients": len(lineage.patients) or None,
            "fold": lineage.fold,
            "label_scheme": lineage.scheme,
            "split_plan_sha256": lineage.plan,
            "mark": record.mark or "none",
        },
        "near_copies": {
            "rule": rule or "The near-copy gate was off: near-copies were not looked for.",
            "dropped": record.near_copies,
            "dropped_of_classes": [f"{row.name}: {row.near_copies}" for row in record.classes],
        },
        "classes": {
            "recognised": [_recognition(row) for row in record.classes],
            "alarms": [row.alarm for row in record.classes if row.alarm] or "none",
            "extractor": record.extractor,
            "extractor_trained": record.extractor_trained,
            "extractor_input": record.extractor_resize,
            "extractor_sha256": record.extractor_sha256,
        },
        "use": _USE,
    }


def _recognition(row: ClassFidelityRow) -> str:
    generated, real = (
        "not measured" if share is None else f"{share:.0%}" for share in (row.recognised, row.held_out_recognised)
    )
    return f"{row.name}: {generated} of the generated tiles, {real} of held-out real ones"
