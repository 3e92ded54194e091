"""`thygan` as a command line: quick to answer, one table of commands, options in groups, old names answered."""

import importlib.metadata
import subprocess
import sys

import pytest

from components.core.errors import ConfigError
from components.core.options.fields import describe_options
from components.groups import GROUPS
from pipelines.cli.app import COMMANDS, app
from pipelines.cli.old_names import NEW_NAMES
from pipelines.study.parameters import POOLS

HEAVY = ("kfp", "torch", "kubernetes", "pandas", "numpy", "docker", "minio")
PROGRAM = """
import sys
from pipelines.cli.app import app
try:
    app({words!r}, result_action="return_value")
finally:
    print("loaded:", *(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], *([*command.split(), "--help"] for command in COMMANDS)],
    ids=lambda words: " ".join(words),
)
def test_help_loads_nothing_heavy(words):
    program = PROGRAM.format(words=words, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "loaded:"
    assert done.stdout.strip()


def test_the_version_is_the_installed_one(capsys):
    app(["--version"], result_action="return_value")
    assert capsys.readouterr().out.strip() == importlib.metadata.version("thygan")


def help_of(capsys, *words):
    app([*words, "--help"], result_action="return_value")
    return capsys.readouterr().out


def test_every_command_is_listed_with_its_first_sentence(capsys):
    page = help_of(capsys)
    for command in COMMANDS:
        assert f"│ {command.split()[0]} " in page
    assert "Starts the study on a cluster" in page
    assert "Draws the images of seeds" in page
    assert "Nothing is uploaded" in help_of(capsys, "submit"), "a command's page has all of its text"


def test_every_option_of_every_group_is_on_the_page(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    pages = {command: help_of(capsys, command) for command in ("run", "submit")}
    for group, kind in GROUPS.items():
        for info in describe_options(kind):
            option = f"--{group}.{info.name.replace('_', '-')}"
            assert option in pages["submit"]
            assert (option in pages["run"]) is (option != "--gan.train-job")
    for name in POOLS:
        option = f"--{name.replace('_', '-')}"
        assert option in pages["submit"]
        assert option not in pages["run"]
    assert "--kimg" not in pages["run"].replace("sec-per-kimg", "")


def test_every_new_name_is_an_option():
    options = {f"{group}.{info.name}" for group, kind in GROUPS.items() for info in describe_options(kind)}
    assert set(NEW_NAMES.values()) <= options


@pytest.mark.parametrize("command", ["run", "submit"])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--kimg", "5000"], "--kimg is now --gan.kimg."),
        (["--kimg=5000"], "--kimg is now --gan.kimg."),
        (["--arms", "none", "bi100"], "--arms is now --split.arms."),
        (["--published"], "--published is now --shared.published."),
        (["--no-near-copy-gate"], "--near-copy-gate is now --generation.near-copy-gate."),
        (["--gan-batch", "8"], "--gan-batch is now --gan.batch."),
        (["--selection-images", "8"], "--selection-images is now --selection.images."),
        (["--mirror"], "--mirror is now --gan.symmetry."),
        (["--title", "A study"], "--title is now --report.title."),
    ],
)
def test_an_old_name_is_answered_with_the_new_one(command, words, sentence):
    with pytest.raises(ConfigError) as raised:
        app([command, *words], result_action="return_value")
    assert str(raised.value) == sentence
