"""The synthetic set's card: what it is, how it was made, what was left out of it and what it is for."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.core.protocol.lineage import Lineage

_USE = {
    "made_for": "Training a tile classifier of the same study and fold, beside real tiles.",
    "not_made_for": "Diagnosis, teaching what tissue looks like, validation or test: these tiles show no patient.",
    "known_limits": [
        "The gate drops what is too near to a training tile in two feature spaces; it proves no privacy.",
        "What the training patients do not show, these tiles do not show either.",
        "Labels are what the generator was asked for, no pathologist has seen the tiles.",
    ],
}


def synthetic_card(
    record: Mapping[str, Any], lineage: Lineage, counts: Mapping[str, Mapping[int, int]], gate: str
) -> dict[str, dict[str, Any]]:
    """The card's values by section.

    Args:
        record: The stage's own, complete.
        lineage: What the generator has seen.
        counts: Arm -> class index -> images.
        gate: What a near-copy is, in words; '' = the gate was off.
    """
    classes: Sequence[Mapping[str, Any]] = record["tables"]["classes"]
    return {
        "set": {
            "kind": "Generated tiles, one class each; no real tile, no patient",
            "tiles": record["tiles"],
            "tiles_of_classes": [f"{one['name']}: {one['generated']}" for one in classes],
            "arms": [f"{arm}: {sum(of_arm.values())} tiles" for arm, of_arm in counts.items()],
            "side": f"{record['resolution']} px",
            "micrometres_per_pixel": record["mpp"],
        },
        "made": {
            "generator_sha256": record["generator_sha256"],
            "psi": record["psi"],
            "truncated_towards": record["truncated_towards"],
            "noise": "stored in the network",
            "seed": record["seed"],
            "latent_seeds": "in the manifest, one per tile",
        },
        "seen_by_the_generator": {
            "patients": len(lineage.patients) or None,
            "fold": lineage.fold,
            "label_scheme": lineage.scheme,
            "split_plan_sha256": lineage.plan,
            "mark": record["mark"] or "none",
        },
        "near_copies": {
            "rule": gate or "The gate was off: nothing was looked for.",
            "dropped": record["near_copies"],
            "dropped_of_classes": [f"{one['name']}: {one['near_copies']}" for one in classes],
        },
        "classes": {
            "recognised": [_recognised(one) for one in classes],
            "alarms": [one["alarm"] for one in classes if one["alarm"]] or "none",
            "extractor": record["extractor"],
            "extractor_trained": record["extractor_trained"],
            "extractor_input": record["extractor_resize"],
            "extractor_sha256": record["extractor_sha256"],
        },
        "use": _USE,
    }


def _recognised(one: Mapping[str, Any]) -> str:
    made, real = (
        "not measured" if share is None else f"{share:.0%}" for share in (one["recognised"], one["held_out_recognised"])
    )
    return f"{one['name']}: {made} of the generated tiles, {real} of held-out real ones"
