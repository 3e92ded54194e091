"""Command lines: a stage's `run` as a command, and errors as one sentence and an exit status."""

import inspect
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn

import cyclopts

from components.core.errors import ThyganError, is_out_of_memory, one_line
from components.core.io.atomic_files import NO_ROOM
from components.core.options.arguments import option_parameters, parse_arguments, parse_mapping
from components.core.options.fields import describe_options
from components.core.options.shared import SharedOptions
from components.core.runtime import logs

Names = tuple[str, ...]


def new_app(name: str, text: str | None = None) -> cyclopts.App:
    """An app in the project's style: `--external a b` takes several values, mappings are written SITE=VALUE."""
    style = cyclopts.Parameter(consume_multiple=True, negative_iterable=())
    return cyclopts.App(name=name, help=text, help_format="markdown", version_flags=[], default_parameter=style)


class Terminated(BaseException):
    """SIGTERM as an exception that no `except Exception` catches, so that partial files are removed on the way out."""


def execute(app: cyclopts.App, arguments: Sequence[str] | None = None) -> None:
    """Runs an app in the main thread; an error becomes a sentence on standard error and an exit status.

    The status is 1 for a ThyganError, a full disk and a lack of memory, 143 for SIGTERM.

    Args:
        app: The app.
        arguments: Its arguments; None = those of the process.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app(arguments, result_action="return_value")
    except ThyganError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _fail(
            f"{error.filename or _describe_temporary_file()} cannot be written ({error.strerror}). No partial "
            "output was left. Free some space, or choose another folder."
        )
    except (MemoryError, RuntimeError, ImportError) as error:
        if not is_out_of_memory(error):
            raise
        _fail(
            f"Out of memory{_describe_stage(error)} ({one_line(error) or type(error).__name__}). No partial output was "
            "left. Give the process more memory, or less to hold at once (a smaller batch, fewer or smaller tiles)."
        )
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
    except Terminated:
        _fail("Stopped by SIGTERM. No partial output was left. Start the same command again.", 128 + signal.SIGTERM)


def _describe_temporary_file() -> str:
    """The subject of a sentence about a full disk where the system does not name the file."""
    return f"The output, or a temporary file in {tempfile.tempdir}," if tempfile.tempdir else "The output"


def _describe_stage(error: BaseException) -> str:
    stage = logs.error_context(error).get("stage")
    return f" in {stage}" if stage else ""


def _fail(sentence: str, status: int = 1) -> NoReturn:
    if logs.is_json():
        logs.emit(sentence, "error")
    else:
        print(logs.redact(f"error: {sentence}"), file=sys.stderr)
    sys.exit(status)


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second signal must not break the cleaning up of the first
    raise Terminated


def stage_command(run: Callable[..., Any], name: str, options: type | None = None, shared: Sequence[str] = ()) -> None:
    """`python -m components.NAME --help`: the stage's paths and identity, its options and the shared ones it reads.

    Args:
        run: The stage's `run`.
        name: Its package below `components`.
        options: Its options dataclass; None where it has no options.
        shared: The fields of SharedOptions that it reads.
    """
    execute(stage_app(run, name, options, shared))


def stage_app(
    run: Callable[..., Any], name: str, options: type | None = None, shared: Sequence[str] = ()
) -> cyclopts.App:
    """The app of `stage_command`."""
    signature = inspect.signature(run).parameters
    direct = [one for one in signature.values() if one.name not in ("options", "shared")]
    mappings = [one.name for one in direct if one.annotation == dict[str, str] | None]
    parameters = [one.replace(annotation=Names, default=()) if one.name in mappings else one for one in direct]
    if options:
        group = cyclopts.Group("Options", sort_key=1)
        parameters += option_parameters(describe_options(options), group)
    if shared:
        group = cyclopts.Group("Options that several stages share", sort_key=2)
        parameters += option_parameters((one for one in describe_options(SharedOptions) if one.name in shared), group)

    def command(**values: Any) -> None:
        arguments = {key: value for key, value in values.items() if key in signature}
        arguments |= {key: parse_mapping(key, arguments[key]) for key in mappings if key in arguments}
        if options:
            arguments["options"] = parse_arguments(options, values)
        if "shared" in signature:
            arguments["shared"] = parse_arguments(SharedOptions, values, shared)
        run(**arguments)

    app = new_app(f"python -m components.{name}")
    app.default(with_options(command, parameters, inspect.getdoc(run)))
    return app


def with_options(
    command: Callable[..., None], options: Sequence[inspect.Parameter], text: str | None
) -> Callable[..., None]:
    """Gives a function of `**values` a signature and a help text.

    Args:
        command: Function to change.
        options: Its parameters.
        text: Its docstring.
    """
    command.__doc__ = text
    command.__signature__ = inspect.Signature(list(options))  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}
    return command
