"""What stages hand to one another is typed: a wrong name or type across a record fails in mypy."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAD = """
from components.core.records.gan_train import GanRecord
from components.core.records.stage_record import read_record

def length(raw: dict[str, object]) -> float:
"""


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("    return read_record(GanRecord, raw).kimg\n", ""),
        ("    return read_record(GanRecord, raw).kimgs\n", 'has no attribute "kimgs"'),
        ("    return read_record(GanRecord, raw).stopped\n", 'got "str", expected "float"'),
    ],
)
def test_a_reader_of_a_record_is_held_to_its_type(tmp_path, body, error):
    planted = tmp_path / "planted.py"
    planted.write_text(HEAD + body, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", planted]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (error in done.stdout and done.returncode == 1) if error else done.returncode == 0, done.stdout
