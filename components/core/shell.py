"""A stage's `run` as a command: options from its signature, help from its docstring, one sentence on bad input."""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import cyclopts

from components.core import events
from components.core.errors import ConfigError, ThyganError

Names = tuple[str, ...]


def new_app(name: str, text: str | None = None) -> cyclopts.App:
    """An app in the house's style: `--external a b` takes several values, mappings are written SITE=VALUE."""
    style = cyclopts.Parameter(consume_multiple=True, negative_iterable=())
    return cyclopts.App(name=name, help=text, help_format="markdown", version_flags=[], default_parameter=style)


def execute(app: cyclopts.App, arguments: Sequence[str] | None = None) -> None:
    """Runs an app; a ThyganError becomes its sentence on standard error and exit status 1."""
    try:
        app(arguments, result_action="return_value")
    except ThyganError as error:
        if events.is_json():
            events.write(str(error), "error")
            sys.exit(1)
        sys.exit(events.struck(f"error: {error}"))
    except KeyboardInterrupt:
        sys.exit("interrupted")


def stage_command(run: Callable[..., Any], name: str) -> None:
    """`python -m components.NAME --help`."""
    parameters = inspect.signature(run).parameters.values()
    mappings = [one.name for one in parameters if one.annotation == dict[str, str] | None]

    def command(**given: Any) -> None:
        run(**{key: mapping(key, value) if key in mappings else value for key, value in given.items()})

    shown = [one.replace(annotation=Names, default=()) if one.name in mappings else one for one in parameters]
    app = new_app(f"python -m components.{name}")
    app.default(with_options(command, shown, inspect.getdoc(run)))
    execute(app)


def with_options(
    command: Callable[..., None], options: Sequence[inspect.Parameter], text: str | None
) -> Callable[..., None]:
    """Gives a function of `**given` its options and its help."""
    command.__doc__ = text
    command.__signature__ = inspect.Signature(list(options))  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}
    return command


def mapping(name: str, pairs: Sequence[str]) -> dict[str, str]:
    """SITE=VALUE texts as a mapping; raises ConfigError for one without `=`."""
    option = "--" + name.replace("_", "-")
    for pair in pairs:
        if "=" not in pair:
            raise ConfigError(f"{option} {pair}: write it as {option} SITE=VALUE.")
    return dict(pair.split("=", 1) for pair in pairs)
