"""Each image's lock has what its stage imports, at the tested versions, with hashes and from no named index."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "images" / "requirements"
STAGES = sorted(path.parent.name for path in ROOT.glob("components/*/stage.py"))
GUESTS = {"outcome": "split"}  # stages in the image of another
SHARED = {"kfp_component", "kfp_runtime", "artifacts", "groups"}
ON_THE_COMPILER = {"kfp_component", "component"}  # never imported in an image: KFP brings a component's text there
ON_REQUEST = {"torch_fidelity"}  # an extractor that says how to install it
# Arguments: the top-level modules that are absent, the modules to import without them; JSON lists.
CONFINED = """
import importlib, json, sys

ABSENT = set(json.loads(sys.argv[1]))

class Confined:
    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if self._is_absent(name) else self._finder.find_spec(name, path, target)

    def _is_absent(self, name):
        # of another stage an image has its options alone
        package, _, module = name.rpartition(".")
        return name in ABSENT or f"{package}.*" in ABSENT and module != "options"

    def __getattr__(self, name):
        return getattr(self._finder, name)

sys.meta_path[:] = [Confined(one) for one in sys.meta_path]
for module in json.loads(sys.argv[2]):
    importlib.import_module(module)
"""
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


def lock_of(stage):
    return LOCKS / f"{GUESTS.get(stage, stage).replace('_', '-')}.txt"


def in_the_image(stage):
    return set(pins(LOCKS / "base.txt")) | set(pins(LOCKS / "kfp.txt")) | set(pins(lock_of(stage)))


def packages_around(modules):
    """The modules and every package that Python runs before them: a.b for a.b.c."""
    parts = [one.split(".") for one in modules]
    return {".".join(one[:length]) for one in parts for length in range(1, len(one) + 1)}


def imported_by(graph, entries):
    """All that is imported when the entries are, counting the `__init__` of the packages on the way."""
    reached, ahead = set(), packages_around(entries)
    while ahead:
        reached |= ahead
        imports = set().union(*(graph.find_modules_directly_imported_by(one) for one in ahead if one in graph.modules))
        ahead = packages_around(imports) - reached
    return reached


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_lock_has_what_the_stage_imports(stage, graph, distributions):
    entries = {one for one in graph.modules if one.startswith(f"components.{stage}.")} | {
        f"components.{one}" for one in SHARED
    }
    reached = imported_by(graph, entries)
    outside = {one.partition(".")[0] for one in reached if not one.startswith("components")}
    outside -= set(sys.stdlib_module_names) | ON_REQUEST
    assert "kfp" in outside
    missing = {one for one in outside if not distributions[one] & in_the_image(stage)}
    assert not missing, f"add it to the extra {stage.replace('_', '-')} in pyproject.toml, then `make lock-images`"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_modules_import_with_the_packages_of_its_lock(stage, distributions):
    """Packages of other locks are hidden, other stages' modules too, as in the image of this one."""
    present = in_the_image(stage)
    absent = {module for module, names in distributions.items() if not names & {*present, "thygan"}}
    absent |= {"pipelines", "thygan", *(f"components.{one}.*" for one in STAGES if one != stage)}
    modules = [f"components.{one}" for one in sorted(SHARED - ON_THE_COMPILER)]
    names = {path.stem for path in (ROOT / "components" / stage).glob("[!_]*.py")} - ON_THE_COMPILER
    modules += [f"components.{stage}.{name}" for name in sorted(names)]
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, json.dumps(sorted(absent)), json.dumps(modules)],
        cwd=ROOT,
        env={**os.environ, "_KFP_RUNTIME": "true"},  # as the images set it: kfp's dsl alone
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_a_missing_package_is_noticed(distributions):
    """The confinement confines: numpy is not found where it is absent, though it is installed here."""
    command = [sys.executable, "-c", CONFINED, json.dumps(["numpy"]), json.dumps(["components.core.fidelity.fid"])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "No module named 'numpy'" in done.stderr


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
