"""Training sets of the arms: the fold's real training tiles, and the tiles that each arm adds to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.core.data.archive import ImageArchive
from components.core.data.file_names import ARM_COUNTS, CLASSES, LINEAGE
from components.core.errors import ConfigError, DataError, LeakageError
from components.core.protocol.lineage import Lineage, refuse_leak
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import BINARY, generator_arm, is_control, scheme_of

RowIndex = npt.NDArray[np.int64]


def check_schemes(arms: list[str], scheme: str) -> None:
    """Raises ConfigError for arms whose generator has another label scheme."""
    foreign = [arm for arm in arms if scheme_of(arm) not in ("", scheme)]
    if foreign:
        raise ConfigError(
            f"{', '.join(foreign)} cannot be trained with scheme {scheme!r}: the arm's generator belongs to the "
            f"{scheme_of(foreign[0])} chain; start the stage with --scheme {scheme_of(foreign[0])}."
        )


def leakage_mark(
    lineage: Lineage, plan: SplitPlan, fold: str, scheme: str, allow_leakage: bool, trust_origin: str
) -> str:
    """The mark of every number that the synthetic tiles enter; '' where they are proven disjoint.

    Args:
        lineage: Lineage of the synthetic tiles.
        plan: The study's split plan.
        fold: Fold of the plan.
        scheme: Label scheme of this task.
        allow_leakage: Whether an overlap is marked instead of refused.
        trust_origin: Origin of tiles without proof, a sentence; '' = none is accepted.

    Raises:
        LeakageError: The generator saw validation or test patients, or the opposite cannot be proven: another study
            key, another split plan, no lineage.
        ConfigError: The tiles have another label scheme.
    """
    if lineage.scheme and lineage.scheme != scheme:
        raise ConfigError(
            f"The synthetic tiles have scheme {lineage.scheme!r} and this run {scheme!r}: give those of one scheme."
        )
    what = "The generator of the synthetic tiles"
    marks = [refuse_leak(lineage, plan.key_id, plan.part(fold, "val", "test"), what, allow_leakage, trust_origin)]
    if lineage.trusted:
        marks.append(f"origin trusted: {lineage.trusted}")
    if lineage.plan != plan.digest:
        if not (allow_leakage or trust_origin):
            raise LeakageError(
                f"{what} was trained under another split plan ({lineage.plan[:12] or 'none'}, this one is "
                f"{plan.digest[:12]}): generate the tiles again from this plan, or mark the numbers with "
                "--allow-leakage."
            )
        marks.append(f"origin trusted: {trust_origin}" if trust_origin else "LEAKED: a generator of another split plan")
    return "; ".join(dict.fromkeys(mark for mark in marks if mark))


def synthetic_lineage(synthetic: ImageArchive) -> Lineage:
    """The lineage in the archive; where it has none, an empty one, which proves nothing."""
    value = synthetic.attachment(LINEAGE)
    return Lineage.from_dict(value) if value else Lineage("", "", "", "")


@dataclass(frozen=True)
class ArmAdditions:
    """The tiles that one arm adds to the real training tiles.

    Attributes:
        arm: Name of the arm.
        synthetic: Rows of the synthetic manifest.
        redrawn: Rows of the real training table, drawn again.
    """

    arm: str
    synthetic: RowIndex
    redrawn: RowIndex

    @property
    def count(self) -> int:
        """Number of tiles that the arm adds."""
        return len(self.synthetic) + len(self.redrawn)


def select_additions(arm: str, train: pd.DataFrame, synthetic: ImageArchive, scheme: str, seed: int) -> ArmAdditions:
    """Selects the tiles that an arm adds.

    A generator arm takes the first tiles of each class in stored order. Its control takes as many of each class from
    the real training tiles: every tile equally often, the rest drawn.

    Args:
        arm: Name of the arm.
        train: The fold's real training tiles.
        synthetic: The synthetic archive with `arms.json` and `classes.json`.
        scheme: Label scheme of the classes in `arms.json`: "binary" or "diagnosis".
        seed: Seed of the control's draw.

    Raises:
        DataError: The archive has no tiles for the arm, or too few.
    """
    none = np.empty(0, dtype=np.int64)
    source = generator_arm(arm)
    if not source:
        return ArmAdditions(arm, none, none)
    arm_counts = synthetic.attachment(ARM_COUNTS) or {}
    if source not in arm_counts:
        raise DataError(
            f"{synthetic.path.name} holds no tiles for the arm {source!r}, only for {', '.join(arm_counts) or 'none'}: "
            "generate with this arm."
        )
    parts = [none]
    for entry in synthetic.attachment(CLASSES) or []:
        if count := int(arm_counts[source].get(str(entry["index"]), 0)):
            parts.append(
                _draw_real(train, entry, count, scheme, seed)
                if is_control(arm)
                else _first_synthetic(synthetic.manifest, entry, count)
            )
    rows = np.concatenate(parts)
    return ArmAdditions(arm, none, rows) if is_control(arm) else ArmAdditions(arm, rows, none)


def _first_synthetic(manifest: pd.DataFrame, entry: Mapping[str, Any], count: int) -> RowIndex:
    rows = np.flatnonzero((manifest["class"] == entry["index"]).to_numpy(dtype=bool, na_value=False))
    if len(rows) < count:
        raise DataError(
            f"The synthetic archive has {len(rows)} tiles of class {entry['name']!r}, the arm needs {count}: "
            "generate again."
        )
    return rows[:count]


def _draw_real(train: pd.DataFrame, entry: Mapping[str, Any], count: int, scheme: str, seed: int) -> RowIndex:
    of_class = train["label"] == entry["label"] if scheme == BINARY else train["diagnosis"] == entry["name"]
    rows = np.flatnonzero(of_class.to_numpy(dtype=bool, na_value=False))
    if not len(rows):
        raise DataError(
            f"The fold has no training tile of class {entry['name']!r} to draw a control from: use fewer folds, or "
            "leave out the control."
        )
    rng = np.random.default_rng((seed, int(entry["index"])))
    return np.concatenate([rng.permutation(rows) for _ in range(-(-count // len(rows)))])[:count]
