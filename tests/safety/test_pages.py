"""Nothing that a file, a site or a diagnosis is called becomes markup: every page of a study in real Chromium."""

import html
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "chaos"))
from study import CLOSING, TRAP

pytest_plugins = ["study"]

PAGES = {
    "tile": ("page.html", "card.html"),
    "tile external": ("page.html", "card.html"),
    "gan_train": ("page.html",),
    "fid_select": ("page.html",),
    "generate": ("page.html",),
    "classifier_cv": ("page.html",),
    "umap": ("page.html",),
    "report": ("page.html",),
}


@pytest.fixture(scope="module")
def chromium():
    browsers = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    browser = next(browsers, None)
    if browser is None:
        pytest.skip("skipped: no Chromium here; apt-get install chromium")
    return browser


def rendered_dom(chromium, page, profile):
    """The page's elements after its scripts ran."""
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"]
    command += ["--virtual-time-budget=4000", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout


def test_a_trap_would_be_seen(chromium, tmp_path):
    for name, trap in (("a", TRAP), ("b", CLOSING)):
        page = tmp_path / f"{name}.html"
        page.write_text(f"<!doctype html><title>x</title><p>{trap}</p>")
        assert "data-owned" in rendered_dom(chromium, page, tmp_path / "profile")


@pytest.mark.parametrize("name", PAGES)
def test_names_stay_names(name, study, chromium, tmp_path):
    study.upto(name)
    for file in PAGES[name]:
        page = study.folder / name / file
        text = rendered_dom(chromium, page, tmp_path / "profile")
        assert "data-owned" not in text
        assert "<body" in text
        assert TRAP not in page.read_text(encoding="utf-8")


def test_the_traps_were_set(study):
    """The names did reach the pages: a test that finds nothing because nothing is there would prove nothing."""
    study.upto("report")
    shown = {name: (study.folder / name / "page.html").read_text(encoding="utf-8") for name in PAGES}
    for name in ("tile", "report"):
        assert TRAP in html.unescape(shown[name]), name
    assert any(CLOSING in html.unescape(text) for text in shown.values())
