import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tile_folder


@pytest.fixture(autouse=True)
def study_key(monkeypatch):
    monkeypatch.setenv("THYGAN_STUDY_KEY", "a study key for tests")
