"""A stage's `run` as a command: options from its signature, help from its docstring, one sentence on bad input."""

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
from components.core.options.arguments import option_parameters, parse_mapping, parse_stated
from components.core.options.fields import describe_options
from components.core.options.shared import SharedOptions
from components.core.runtime import logs

Names = tuple[str, ...]


def new_app(name: str, text: str | None = None) -> cyclopts.App:
    """An app in the house's style: `--external a b` takes several values, mappings are written SITE=VALUE."""
    style = cyclopts.Parameter(consume_multiple=True, negative_iterable=())
    return cyclopts.App(name=name, help=text, help_format="markdown", version_flags=[], default_parameter=style)


class Terminated(BaseException):
    """SIGTERM; nothing that handles errors takes it for one, and what is half-written is removed on its way."""


def execute(app: cyclopts.App, arguments: Sequence[str] | None = None) -> None:
    """Runs an app in the main thread; what ends it becomes a sentence on standard error and an exit status.

    That is 1 for a ThyganError and where memory is not enough, and 143 for SIGTERM.
    """
    signal.signal(signal.SIGTERM, _end)
    try:
        app(arguments, result_action="return_value")
    except ThyganError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _fail(
            f"{error.filename or _unnamed()} has no room ({error.strerror}): nothing half-written is left; free "
            "some, or give another place."
        )
    except (MemoryError, RuntimeError, ImportError) as error:
        if not is_out_of_memory(error):
            raise
        _fail(
            f"Memory is not enough ({one_line(error) or type(error).__name__}): nothing half-written is left; give the "
            "process more, or less to hold at once (a smaller batch, fewer or smaller tiles)."
        )
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except Terminated:
        _fail("Told to end: nothing half-written is left, and the same command starts again.", 128 + signal.SIGTERM)


def _unnamed() -> str:
    """A file that was written when the disk was full, of which the system tells no name."""
    return f"What is written, or its temporary files in {tempfile.tempdir}," if tempfile.tempdir else "What is written"


def _fail(sentence: str, status: int = 1) -> NoReturn:
    if logs.is_json():
        logs.emit(sentence, "error")
    else:
        print(logs.redact(f"error: {sentence}"), file=sys.stderr)
    sys.exit(status)


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # whoever sends it twice must not break what the first one began
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
            arguments["options"] = parse_stated(options, values)
        if "shared" in signature:
            arguments["shared"] = parse_stated(SharedOptions, values, shared)
        run(**arguments)

    app = new_app(f"python -m components.{name}")
    app.default(with_options(command, parameters, inspect.getdoc(run)))
    return app


def with_options(
    command: Callable[..., None], options: Sequence[inspect.Parameter], text: str | None
) -> Callable[..., None]:
    """Gives a function of `**given` its options and its help."""
    command.__doc__ = text
    command.__signature__ = inspect.Signature(list(options))  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in options}
    return command
