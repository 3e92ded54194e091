"""Every extra of ours that code, documentation or an error message names is one that pyproject.toml has."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"\bthygan\[([^\]\n]*)\]")
FOLDERS = ("bench", "components", "docs", "images", "manifests", "pipelines", "tests")
PATTERNS = ("*.md", "*.py", "*.sh", "*.yaml", "*.j2", "Dockerfile")
FILES = [ROOT / name for name in ("README.md", "Makefile", "pyproject.toml")]
FILES += [path for folder in FOLDERS for pattern in PATTERNS for path in (ROOT / folder).rglob(pattern)]
FILES.remove(Path(__file__))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


@pytest.fixture(scope="module")
def extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {normal(name) for name in project["optional-dependencies"]}


def test_every_extra_that_is_named_exists(extras: set[str]) -> None:
    found = {
        (str(path.relative_to(ROOT)), normal(name))
        for path in FILES
        for names in NAMED.findall(path.read_text(encoding="utf-8"))
        for name in names.split(",")
    }
    assert {path for path, _ in found} >= {"pyproject.toml", "components/tile/slide_formats/openslide_formats.py"}
    assert {(path, name) for path, name in found if name not in extras} == set()
