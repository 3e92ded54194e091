"""What tests of several rooms share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("seeded", derandomize=True)  # what a test tries follows from its text, here and in CI
settings.load_profile("seeded")

ROOT = Path(__file__).parent.parent
COMMITTED, ALL = ROOT / "tests/golden/stylegan2", ROOT.parent / "shared/golden/stylegan2"


def golden_path(name: str) -> Path:
    """A golden file: the committed copy, else the full set's; skips where neither is."""
    for folder in (COMMITTED, ALL):
        if (folder / name).exists():
            return folder / name
    pytest.skip(f"skipped: {name} is only in {ALL}, which is not here")


@pytest.fixture(scope="session")
def golden_file() -> Callable[[str], Path]:
    return golden_path


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """Arrays of a golden .npz by name."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(golden_path(f"{name}.npz")) as file:
            return dict(file)

    return load
