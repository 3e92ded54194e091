"""One toy study for all tests of the stage."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # toy_fold

from toy_fold import DIAGNOSES, KEY, TEST, TRAIN, VAL, Toy, person, write_synthetic, write_tiles

from components.core.data.archive import ImageArchive
from components.core.protocol.lineage import Lineage, key_id
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import ARMS, CONTROL, StudyPlan


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("toy")
    parts = {"train": TRAIN, "val": VAL, "test": TEST}
    people = {part: sorted(person(number) for number in numbers) for part, numbers in parts.items()}
    everyone = {"train": sorted([*people["train"], *people["test"]]), "val": people["val"], "test": []}
    plan = SplitPlan(key_id(KEY), {"0": people, "all": everyone}, "by hand").check()
    plan.write(folder / "plan.json")
    arms = [*ARMS, *(arm + CONTROL for arm, scheme in ARMS.items() if scheme)]
    StudyPlan(arms=arms, seeds=[0, 1], class_map=DIAGNOSES).write(folder / "study.json")
    lineage = Lineage(plan.key_id, plan.digest, "0", "binary", people["train"])
    return Toy(
        folder,
        write_tiles(folder / "tiles.zip"),
        folder / "plan.json",
        folder / "study.json",
        write_synthetic(folder / "synthetic.zip", lineage),
    )


@pytest.fixture(scope="session")
def lineage(toy: Toy) -> Lineage:
    """The true lineage of the synthetic tiles."""
    with ImageArchive(toy.synthetic) as archive:
        return Lineage.from_dict(archive.attachment("lineage.json"))


@pytest.fixture
def with_lineage(toy: Toy, lineage: Lineage, tmp_path: Path) -> Callable[..., Toy]:
    """The toy study with synthetic tiles of another lineage, or of none."""

    def with_changes(**changes: Any) -> Toy:
        other = replace(lineage, **changes) if changes else None
        return replace(toy, synthetic=write_synthetic(tmp_path / "synthetic.zip", other))

    return with_changes
