"""The shape of the code: names with one meaning, functions named by verbs and nouns, light imports, few doors."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.core.options.fields import describe_options
from components.groups import GROUPS

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for top in ("components", "pipelines", "thygan") for path in (ROOT / top).rglob("*.py"))

SHAPE = {"run", "page_html", "main"}  # every room has the first two, every program the last
TWO_MEANINGS = {
    "SplitPlan": "the plan, and the KFP artifact whose file holds it",
    "StudyPlan": "the plan, and the KFP artifact whose file holds it",
    "Generator": "StyleGAN2's network, and the KFP artifact whose folder holds it",
    "generate": "the stage's component, and the command that draws images",
}

IRREGULAR = """
    bound brought built chosen done drawn felt found given gone held hidden kept known laid left lent lost made meant
    met paid said seen sent shown sought stood taken taught thought thrown told torn understood won worn written
"""
PARTICIPLE = re.compile("|".join(["[a-z]+ed", "[a-z]+en", *IRREGULAR.split()]))
NO_PARTICIPLE = {
    "embed",
    "feed",
    "flatten",
    "golden",
    "len",
    "need",
    "open",
    "read",
    "seed",
    "speed",
    "screen",
    "unflatten",
    "when",
}
OUR_NAMES = {"published": "the option and its study", "shared": "the group of options"}
FIELD_TERMS = {
    "balanced_accuracy_of_better": "balanced accuracy, a term of statistics",
    "instrumented": "Prometheus calls code that measures itself instrumented",
    "mixed_precision": "mixed precision, a term of PyTorch",
    "modulated_conv2d": "the operation's name in the StyleGAN2 paper",
    "weighted_metrics": "weighted metrics, a term of statistics",
}

SEVERAL_GROUPS = {
    "batch": "images of one step; each stage has its own network",
    "learning_rate": "Adam's step size; of the GAN and of the classifier",
    "extractor": "feature network; the map may show other features than the metrics use",
}

LIGHT_COMMANDS = ("--help", "run --help", "score --help", "data check --help")
HEAVY = {"kfp", "torch", "kubernetes", "pandas", "kfp_kubernetes"}

MOST_DOORS = {"components/core": 20, "components/gan_train": 22, "pipelines": 8}
NO_DOORS = {"__init__.py", "__main__.py", "__pycache__"}
TEMPLATES = {".j2", ".css", ".js"}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in SOURCES:
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_a_public_name_has_one_meaning() -> None:
    modules = defaultdict(list)
    for path, tree in trees():
        if path.startswith("thygan/"):  # the public functions, under the names they have inside
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].append(path)
    several = {name: paths for name, paths in modules.items() if len(paths) > 1 and name not in SHAPE}
    assert {name: paths for name, paths in several.items() if name not in TWO_MEANINGS} == {}
    assert set(TWO_MEANINGS) <= set(several), "remove what no longer has two meanings"
    assert len(TWO_MEANINGS) <= 5


def test_functions_are_named_by_verbs_and_nouns() -> None:
    names = defaultdict(set)
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names[node.name].add(path)
    words = {name: name.strip("_").split("_")[0] for name in names}
    participles = {
        name: sorted(names[name])
        for name, word in words.items()
        if PARTICIPLE.fullmatch(word) and word not in {*NO_PARTICIPLE, *OUR_NAMES}
    }
    assert {name: paths for name, paths in participles.items() if name not in FIELD_TERMS} == {}
    assert set(FIELD_TERMS) <= set(participles), "remove what is gone"
    assert len(FIELD_TERMS) <= 5


def test_an_option_belongs_to_one_group() -> None:
    groups = defaultdict(list)
    for group, kind in GROUPS.items():
        for info in describe_options(kind):
            groups[info.name].append(group)
    several = {name: found for name, found in groups.items() if len(found) > 1}
    assert {name: found for name, found in several.items() if name not in SEVERAL_GROUPS} == {}


@pytest.mark.parametrize("command", LIGHT_COMMANDS)
def test_help_imports_nothing_heavy(command: str) -> None:
    script = (
        "import sys\n"
        "from pipelines.cli.app import main\n"
        f"sys.argv = ['thygan', *{command.split()!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('modules:', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    help_text, _, modules = done.stdout.partition("modules:")
    assert "Usage" in help_text
    assert not HEAVY & set(modules.split())


@pytest.mark.parametrize("folder", MOST_DOORS)
def test_a_room_has_few_doors(folder: str) -> None:
    doors = [
        path.name for path in (ROOT / folder).iterdir() if path.name not in NO_DOORS and path.suffix not in TEMPLATES
    ]
    assert len(doors) <= MOST_DOORS[folder], sorted(doors)
