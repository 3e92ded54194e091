"""Which snapshot becomes the generator, and why."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from components.core.errors import ConfigError

KID_HELD_OUT, FID_TRAIN = "kid_held_out", "fid_train"
RULES = (KID_HELD_OUT, FID_TRAIN)
LEAST_HELD_OUT = 8  # tiles of each class; below that the distance is mostly noise


def check_rule(rule: str) -> None:
    """Refuses a rule that there is not."""
    if rule not in RULES:
        raise ConfigError(f"There is no selection rule {rule!r}: use {' or '.join(RULES)}.")


def why_not_held_out(held_out: pd.DataFrame, classes: Sequence[dict[str, Any]], patients_seen: Sequence[str]) -> str:
    """Why the held-out tiles cannot decide; '' when they can.

    Args:
        held_out: The manifest of HeldOut.
        classes: `index`, `name` of each class.
        patients_seen: Identities of the generator's lineage.
    """
    seen = set(held_out["identity"]) & set(patients_seen)
    if seen:
        return f"{len(seen)} of HeldOut's patients were seen in training"
    for one in classes:
        tiles = int((held_out["label"] == one["index"]).sum())
        if tiles < LEAST_HELD_OUT:
            return f"HeldOut has {tiles} tiles of class {one['name']}, fewer than {LEAST_HELD_OUT}"
    return ""


def choose(rows: Sequence[dict[str, Any]], rule: str, why_not: str) -> tuple[int, str]:
    """The place of the chosen snapshot and a sentence that says why.

    Args:
        rows: `measure`'s rows with `kimg`, in the order of training. The untrained one is not selectable, unless it
            is the only one.
        rule: One of `RULES`.
        why_not: Why held-out tiles cannot decide; '' when they can.
    """
    places = [place for place, row in enumerate(rows) if row["kimg"] > 0] or list(range(len(rows)))
    if rule == FID_TRAIN:
        scores, said = [row["fid"] for row in rows], "lowest FID to the training tiles"
    elif why_not:
        scores = [_class_mean(row, "kid") for row in rows]
        said = f"lowest class-mean KID to the training tiles, because {why_not}"
    else:
        scores, said = [_class_mean(row, KID_HELD_OUT) for row in rows], "lowest class-mean KID to the held-out tiles"
    chosen = min(places, key=lambda place: scores[place])
    return chosen, f"{said}: {scores[chosen]:.4g} at {rows[chosen]['kimg']:g} kimg, of {len(places)} snapshots"


def _class_mean(row: dict[str, Any], key: str) -> float:
    known = [one[key] for one in row["classes"] if one[key] is not None]
    return float(np.mean(known)) if known else float("inf")
