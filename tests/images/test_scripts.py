"""What lies beside the images: sound by the linters of its kind, and one list of stages everywhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DOCKERFILE = (ROOT / "images" / "Dockerfile").read_text(encoding="utf-8")
STAGES = sorted(
    path.parent.name.replace("_", "-")
    for path in ROOT.glob("components/*/stage.py")
    if (path.parent / "__main__.py").exists()
)


@pytest.mark.parametrize(
    ("linter", "file"),
    [("hadolint", "images/Dockerfile"), ("shellcheck", "images/engine.sh"), ("shellcheck", ".ci/run")],
)
def test_linters_find_nothing(linter, file):
    done = subprocess.run([BIN / linter, ROOT / file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_stage_has_a_target_a_lock_and_a_place_in_the_bake_file():
    targets = set(re.findall(r"^FROM \S+ AS ([\w-]+)$", DOCKERFILE, re.MULTILINE))
    bake = (ROOT / "images" / "docker-bake.hcl").read_text(encoding="utf-8")
    for stage in STAGES:
        assert stage in targets
        assert (ROOT / "images" / "requirements" / f"{stage}.txt").is_file()
        assert f'"{stage}"' in bake


def test_every_image_has_every_stages_options():
    core = DOCKERFILE.partition("FROM scratch AS core")[2].partition("FROM ")[0]
    for path in ROOT.glob("components/*/options.py"):
        name = path.parent.name
        assert f"COPY components/{name}/__init__.py components/{name}/options.py /components/{name}/" in core


def test_the_base_is_pinned_and_every_image_is_run_by_a_number():
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:[\w.-]+@sha256:[0-9a-f]{64}", base)
    for block in re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]:
        if "components." in block and "CMD" in block:
            assert "\nUSER 65532:65532\n" in block


def test_nothing_names_a_registry_or_an_index():
    for path in [*(ROOT / "images").rglob("*"), ROOT / ".dockerignore"]:
        if path.is_file() and path.suffix != ".md" and "__pycache__" not in path.parts:
            assert not re.search(r"https?://|--(extra-)?index-url|--find-links", path.read_text(encoding="utf-8")), path
