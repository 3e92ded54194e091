"""Which snapshot becomes the generator, and why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.fid_select.measure import SCREENED_FRECHET

KID_HELD_OUT, FID_TRAIN = "kid_held_out", "fid_train"
LEAST_HELD_OUT = 8  # tiles of each class; below that the distance is mostly noise
_BEHIND = 3.0  # standard errors of a difference beyond which a snapshot is not shortlisted

SnapshotValues = dict[str, Any]


def describe_held_out_problem(
    held_out: pd.DataFrame, classes: Sequence[dict[str, Any]], patients_seen: Sequence[str]
) -> str:
    """Why the held-out tiles cannot decide; '' when they can.

    Args:
        held_out: The manifest of HeldOut.
        classes: `index`, `name` of each class.
        patients_seen: Identities of the generator's lineage.
    """
    seen = set(held_out["identity"]) & set(patients_seen)
    if seen:
        return f"{len(seen)} of HeldOut's patients were seen in training"
    for entry in classes:
        tiles = int((held_out["label"] == entry["index"]).sum())
        if tiles < LEAST_HELD_OUT:
            return f"HeldOut has {tiles} tiles of class {entry['name']}, fewer than {LEAST_HELD_OUT}"
    return ""


@dataclass(frozen=True)
class SelectionRule:
    """How snapshots are compared.

    Attributes:
        rule: kid_held_out or fid_train.
        problem: Why held-out tiles cannot decide; '' when they can.
    """

    rule: str
    problem: str

    def shortlist(self, rows: Sequence[SnapshotValues], least: int) -> list[int]:
        """The places of the snapshots that are worth the full measure, from the screening's rows.

        All whose kernel distance is not above the lowest one's by more than 3 standard errors of the difference that
        more images could remove, and the `least` lowest in any case; by the Fréchet distance, too, where that decides,
        as both do not always agree. The real tiles are those of the full measure, so their own error is not counted.
        """
        scores = {place: self._screening_scores(rows[place]) for place in selectable(rows)}
        order = sorted(scores, key=lambda place: scores[place][0])
        best, error = scores[order[0]]
        ahead = {place for place in order if scores[place][0] - best <= _BEHIND * math.hypot(scores[place][1], error)}
        ahead |= set(order[:least])
        if self.rule == FID_TRAIN:
            ahead |= set(sorted(scores, key=lambda place: rows[place].get(SCREENED_FRECHET, math.inf))[:least])
        return sorted(ahead)

    def choose(self, rows: Sequence[SnapshotValues]) -> tuple[int, str]:
        """The place of the chosen snapshot and a sentence that says why; the earlier one of equals."""
        places = [place for place in selectable(rows) if rows[place]["full"]]
        if self.rule == FID_TRAIN:
            scores, reason = {place: rows[place]["fid"] for place in places}, "lowest FID to the training tiles"
        else:
            scores = {place: class_mean(rows[place], self._kernel) for place in places}
            reason = f"lowest class-mean KID to the {'training' if self.problem else 'held-out'} tiles"
            reason += f", because {self.problem}" if self.problem else ""
        chosen = min(places, key=lambda place: scores[place])
        kimg, count = rows[chosen]["kimg"], len(selectable(rows))
        return chosen, f"{reason}: {scores[chosen]:.4g} at {kimg:g} kimg, of {count} snapshots"

    @property
    def _kernel(self) -> str:
        return "kid" if self.problem else KID_HELD_OUT

    def _screening_scores(self, row: SnapshotValues) -> tuple[float, float]:
        """The kernel distance that stands for the rule's own measure, and its error."""
        if self.rule == FID_TRAIN:
            return row["kid"], row["kid_sampling_se"]
        errors = [one[f"{self._kernel}_sampling_se"] or 0.0 for one in row["classes"]]
        return class_mean(row, self._kernel), math.hypot(*errors) / len(errors)


def selectable(rows: Sequence[SnapshotValues]) -> list[int]:
    """Places of the snapshots that were trained; of all where none was."""
    return [place for place, row in enumerate(rows) if row["kimg"] > 0] or list(range(len(rows)))


def class_mean(row: SnapshotValues, key: str) -> float:
    """The mean over the classes that have a value; infinity where none has."""
    known = [one[key] for one in row["classes"] if one[key] is not None]
    return float(np.mean(known)) if known else math.inf
