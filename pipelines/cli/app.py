"""The `thygan` command: the table of its commands, each imported when it is used."""

import ast
import importlib.metadata
from pathlib import Path

import cyclopts

from components.core.runtime.cli import execute, new_app

COMMANDS = {
    "run": "pipelines.cli.run:run",
    "submit": "pipelines.cli.submit:submit",
    "schedule apply": "pipelines.cli.schedule:apply_schedules",
    "schedule list": "pipelines.cli.schedule:list_schedules",
    "schedule delete": "pipelines.cli.schedule:delete_schedule",
    "score": "pipelines.cli.score:score",
    "predictions": "pipelines.cli.predictions:predictions",
    "artifacts list": "pipelines.cli.artifacts:list_artifacts",
    "artifacts show": "pipelines.cli.artifacts:show_artifact",
    "artifacts pull": "pipelines.cli.artifacts:pull_artifact",
    "data check": "pipelines.cli.data:check_source",
    "data phantom": "pipelines.cli.data:make_phantom",
    "generate": "pipelines.cli.generate:generate",
    "export": "pipelines.cli.export:export",
    "import": "pipelines.cli.export:import_official",
    "weights list": "pipelines.cli.weights:list_weights",
    "weights fetch": "pipelines.cli.weights:fetch_weights",
    "weights verify": "pipelines.cli.weights:verify_weights",
    "doctor": "pipelines.cli.doctor:doctor",
    "compile": "pipelines.cli.compile:compile_study",
}
FAMILIES = {
    "schedule": "Recurring runs on a cluster, as the files in git state them.",
    "artifacts": "Artifacts that a store keeps: find them, see where they come from, download them.",
    "data": "Check data before anything runs; make demo data.",
    "weights": "Trained weights: list, fetch and verify them.",
}


def version() -> str:
    """The installed version of thygan."""
    return importlib.metadata.version("thygan")


def read_docstring(path: str) -> str:
    """The docstring of MODULE:FUNCTION of this package, read without importing the module."""
    module, _, function = path.partition(":")
    source = Path(__file__).with_name(f"{module.rpartition('.')[2]}.py").read_text(encoding="utf-8")
    definitions = (one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef) and one.name == function)
    return ast.get_docstring(next(definitions)) or ""


def build_app() -> cyclopts.App:
    """The command with all of its subcommands."""
    whole = new_app(
        "thygan", "Do GAN-made tiles make a classifier trained on few patients hold up on another hospital's slides?"
    )
    whole.version, whole.version_flags = version, ("--version",)
    parents = {"": whole} | {name: new_app(name, text) for name, text in FAMILIES.items()}
    for name in FAMILIES:
        whole.command(parents[name])
    for words, path in COMMANDS.items():
        family, _, name = words.rpartition(" ")
        parents[family].command(path, name=name, help=read_docstring(path))
    return whole


app = build_app()


def main() -> None:
    """Entry point."""
    execute(app)
