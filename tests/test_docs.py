"""The pages name files that exist, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    {ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "images" / "README.md"}
    | set((ROOT / "docs").glob("*.md"))
    | set((ROOT / "bench").glob("*.md"))
)
FOLDERS = (
    "components", "pipelines", "thygan", "tests", "bench", "docs", "manifests", "images", "requirements",
    "schedules", "core", ".ci",
)  # fmt: skip
BASES = (ROOT, ROOT / "components", ROOT / "manifests")  # `core/…` and manifests' `components/…` are short forms
_QUOTED = re.compile(r"`([^`]+)`")
_PATH = re.compile(rf"(?<![\w/.:-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w.*/-]*\w")
_MODULE = re.compile(r"(?<![\w/.-])\w+\.py(?!\w)")
_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)?(?:#([^)\s]+))?\)")


def _anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _missing_paths(text: str) -> list[str]:
    """Paths and modules in backticks that are nowhere in the repository."""
    quoted = [" ".join(part.split()) for part in _QUOTED.findall(text)]
    paths = {path for part in quoted for path in _PATH.findall(part)}
    modules = {name for part in quoted for name in _MODULE.findall(part)}
    return sorted(path for path in paths if not any(any(base.glob(path)) for base in BASES)) + sorted(
        name for name in modules if not any(any((ROOT / folder).rglob(name)) for folder in FOLDERS if folder != "core")
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_exist(page: Path) -> None:
    assert _missing_paths(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    for path, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in _anchors(target), f"{path}#{anchor}"


def test_missing_files_are_noticed() -> None:
    text = "`core/data/archive.py`, `components/gone.py`, `bench/*.md` and `nowhere.py`; `components/trainer`."
    assert _missing_paths(text) == ["components/gone.py", "nowhere.py"]
