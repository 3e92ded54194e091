"""The workflows for GitHub are valid, pinned, and do what .ci/run does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONLINT = Path(sys.executable).parent / "actionlint"


def lint(*paths):
    return subprocess.run([ACTIONLINT, "-shellcheck=", "-pyflakes=", *paths], capture_output=True, text=True)


def test_actionlint_finds_nothing():
    done = lint(*WORKFLOWS)
    assert done.returncode == 0, done.stdout


def test_actionlint_would_find_a_mistake(tmp_path):
    broken = tmp_path / "ci.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("runs-on: ubuntu-24.04", "runs-on: ${{ matrix.system }}"))
    assert lint(broken).returncode == 1


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_rights_are_read_only(path):
    text = path.read_text()
    used = re.findall(r"uses: (\S+)", text)
    assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one) for one in used)
    assert re.search(r"^permissions:\n  contents: read$", text, re.MULTILINE) and "secrets." not in text


def test_the_workflow_runs_what_every_change_must_pass():
    assert re.search(r"run: \.ci/run$", (ROOT / ".github/workflows/ci.yml").read_text(), re.MULTILINE)
