"""What each arm trains on: the fold's real training tiles, and what the arm adds to them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.core.data.archive import CLASSES, ImageArchive
from components.core.errors import ConfigError, DataError, LeakageError
from components.core.protocol.lineage import Lineage, refuse_leak
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import BINARY, generator_arm, is_control, scheme_of

ARMS_FILE = "arms.json"
Places = npt.NDArray[np.int64]


def check_chain(arms: list[str], scheme: str) -> None:
    """Refuses arms of another scheme's chain."""
    foreign = [arm for arm in arms if scheme_of(arm) not in ("", scheme)]
    if foreign:
        raise ConfigError(
            f"{', '.join(foreign)} cannot be trained with scheme {scheme!r}: the arm's generator belongs to the "
            f"{scheme_of(foreign[0])} chain; start the stage with --scheme {scheme_of(foreign[0])}."
        )


def synthetic_mark(
    lineage: Lineage, plan: SplitPlan, fold: str, scheme: str, allow_leakage: bool, trust_origin: str
) -> str:
    """Refuses synthetic tiles that may know this fold's validation or test patients.

    Returns:
        The mark of every number that they enter; '' when they are proven disjoint.

    Raises:
        LeakageError: Overlap, another key, another split plan, no lineage.
        ConfigError: They were made under another label scheme.
    """
    if lineage.scheme and lineage.scheme != scheme:
        raise ConfigError(f"The synthetic tiles belong to scheme {lineage.scheme!r}, this run has {scheme!r}.")
    what = "The generator of the synthetic tiles"
    marks = [refuse_leak(lineage, plan.key_id, plan.part(fold, "val", "test"), what, allow_leakage, trust_origin)]
    if lineage.trusted:
        marks.append(f"origin trusted: {lineage.trusted}")
    if lineage.plan != plan.digest:
        if not (allow_leakage or trust_origin):
            raise LeakageError(
                f"{what} was trained under another split plan ({lineage.plan[:12] or 'none'}, this one is "
                f"{plan.digest[:12]}): make the tiles again from this plan, or go on with marked numbers by "
                "--allow-leakage."
            )
        marks.append(f"origin trusted: {trust_origin}" if trust_origin else "LEAKED: a generator of another split plan")
    return "; ".join(dict.fromkeys(mark for mark in marks if mark))


def synthetic_lineage(synthetic: ImageArchive) -> Lineage:
    """The lineage that the archive carries; an empty one, which proves nothing, where it carries none."""
    value = synthetic.attachment("lineage.json")
    return Lineage.from_dict(value) if value else Lineage("", "", "", "")


@dataclass(frozen=True)
class Arm:
    """One arm's additions to the real training tiles.

    Attributes:
        name: Of the arm.
        synthetic: Rows of the synthetic manifest.
        redrawn: Rows of the real training table, again.
    """

    name: str
    synthetic: Places
    redrawn: Places

    @property
    def added(self) -> int:
        """How many tiles the arm adds."""
        return len(self.synthetic) + len(self.redrawn)


def compose(name: str, train: pd.DataFrame, synthetic: ImageArchive, scheme: str, seed: int) -> Arm:
    """An arm's additions.

    A generator arm takes the first tiles of each class in stored order. Its control takes as many of each class from
    the real training tiles: every tile equally often, the rest drawn.

    Args:
        name: Of the arm.
        train: The fold's real training tiles.
        synthetic: The synthetic archive with `arms.json` and `classes.json`.
        scheme: "binary" or "diagnosis": what a class of `arms.json` is.
        seed: Of the control's draw.
    """
    nothing = np.empty(0, dtype=np.int64)
    source = generator_arm(name)
    if not source:
        return Arm(name, nothing, nothing)
    arms = synthetic.attachment(ARMS_FILE) or {}
    if source not in arms:
        raise DataError(
            f"{synthetic.path.name} holds no tiles for the arm {source!r}, only for {', '.join(arms) or 'none'}: "
            "generate with this arm."
        )
    classes = synthetic.attachment(CLASSES) or []
    take = _redraw if is_control(name) else _first
    parts = [
        take(train if is_control(name) else synthetic.manifest, one, count, scheme, seed)
        for one in classes
        if (count := int(arms[source].get(str(one["index"]), 0)))
    ]
    places = np.concatenate([nothing, *parts])
    return Arm(name, nothing, places) if is_control(name) else Arm(name, places, nothing)


def _first(manifest: pd.DataFrame, one: dict[str, Any], count: int, _scheme: str, _seed: int) -> Places:
    places = np.flatnonzero((manifest["class"] == one["index"]).to_numpy(dtype=bool, na_value=False))
    if len(places) < count:
        raise DataError(
            f"The synthetic archive has {len(places)} tiles of class {one['name']!r}, the arm needs {count}: "
            "generate again."
        )
    return places[:count]


def _redraw(train: pd.DataFrame, one: dict[str, Any], count: int, scheme: str, seed: int) -> Places:
    own = train["label"] == one["label"] if scheme == BINARY else train["diagnosis"] == one["name"]
    places = np.flatnonzero(own.to_numpy(dtype=bool, na_value=False))
    if not len(places):
        raise DataError(f"The fold has no training tile of class {one['name']!r} to draw a control from.")
    rng = np.random.default_rng((seed, int(one["index"])))
    return np.concatenate([rng.permutation(places) for _ in range(-(-count // len(places)))])[:count]
