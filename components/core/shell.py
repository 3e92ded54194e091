"""A stage's `run` as a command: options from its signature, help from its docstring, one sentence on bad input."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import cyclopts

from components.core.errors import ThyganError


def execute(app: cyclopts.App, arguments: Sequence[str] | None = None) -> None:
    """Runs an app; a ThyganError becomes its sentence on standard error and exit status 1."""
    try:
        app(arguments, result_action="return_value")
    except ThyganError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")


def stage_command(run: Callable[..., Any], name: str) -> None:
    """`python -m components.NAME --help`."""
    app = cyclopts.App(name=f"python -m components.{name}", help_format="markdown", version_flags=[])
    app.default(run)
    execute(app)
