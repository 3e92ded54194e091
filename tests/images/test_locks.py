"""Each image's lock has what its stage imports, at the tested versions, with hashes and from no named index."""

import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "images" / "requirements"
STAGES = sorted(path.parent.name for path in ROOT.glob("components/*/stage.py"))
GUESTS = {"outcome": "split"}  # stages in the image of another
SHARED = {"kfp_stage", "kfp_work", "artifacts"}
ON_REQUEST = {"torch_fidelity"}  # an extractor that says how to install it
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; [^\\]+)? \\$")


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path):
    """Package -> version, of a lock in which every package has at least one hash."""
    found, current = {}, None
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := PINNED.match(line):
            current = normal(match[1])
            found[current] = (match[2], 0)
        elif line.strip().startswith("--hash=sha256:"):
            found[current] = (found[current][0], found[current][1] + 1)
        else:
            assert not line or line.lstrip().startswith("#"), f"{path.name}: {line}"
    assert all(hashes for _, hashes in found.values())
    return {name: version for name, (version, _) in found.items()}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("components", include_external_packages=True, cache_dir=None)


@pytest.fixture(scope="module")
def distributions():
    return {module: {normal(one) for one in names} for module, names in packages_distributions().items()}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_lock_has_what_the_stage_imports(stage, graph, distributions):
    installed = set(pins(LOCKS / "base.txt")) | set(pins(LOCKS / "kfp.txt"))
    installed |= set(pins(LOCKS / f"{GUESTS.get(stage, stage).replace('_', '-')}.txt"))
    entries = {one for one in graph.modules if one.startswith(f"components.{stage}.")} | {
        f"components.{one}" for one in SHARED
    }
    reached = set().union(*(graph.find_upstream_modules(one) for one in entries))
    outside = {one for one in reached if not one.startswith("components")} - set(sys.stdlib_module_names) - ON_REQUEST
    assert "kfp" in outside
    missing = {one for one in outside if not distributions[one] & installed}
    assert not missing, f"add it to the extra {stage.replace('_', '-')} in pyproject.toml, then `make lock-images`"


@pytest.mark.parametrize("lock", sorted(path.name for path in LOCKS.glob("*.txt")))
def test_images_hold_the_versions_that_are_tested(lock):
    tested = pins(ROOT / "requirements" / "dev.txt")
    names = pins(LOCKS / lock)
    assert names
    if lock != "syft.txt":
        assert {name: version for name, version in names.items() if tested.get(name) != version} == {}


def test_stages_without_a_network_carry_no_torch():
    for stage in ("tile", "split", "pack", "report"):
        assert "torch" not in pins(LOCKS / f"{stage}.txt")
    for stage in ("gan-train", "classifier-cv", "stages"):
        names = pins(LOCKS / f"{stage}.txt")
        assert "+" not in names["torch"], "the ordinary wheel, which brings CUDA"
        assert any(name.startswith("nvidia-cudnn") for name in names)
