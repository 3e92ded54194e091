"""Options as arguments of a command line: its parameters from an options dataclass, and the dataclass from its values.

A mapping is written SITE=VALUE, a tuple as several values, a boolean as --flag or --no-flag. An option that is
left out does not appear in the values, so that its default stays the dataclass's or a profile's.
"""

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import cyclopts

from components.core.errors import ConfigError
from components.core.options.fields import OptionInfo, describe_options
from components.core.options.parse import parse


def flag(name: str) -> str:
    """The name of an option on a command line, for example --checkpoint-minutes."""
    return "--" + name.replace("_", "-")


def option_parameters(infos: Iterable[OptionInfo], group: cyclopts.Group, prefix: str = "") -> list[inspect.Parameter]:
    """Keyword parameters of a command, one an option.

    Args:
        infos: The options, from `describe_options`.
        group: Panel of the help page that shows them.
        prefix: Text before each option's name after `--`, for example "gan." for --gan.kimg.
    """
    return [
        inspect.Parameter(
            prefix.replace(".", "_") + info.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                _annotation(info),
                cyclopts.Parameter(
                    name="--" + prefix + info.name.replace("_", "-"),
                    group=group,
                    help=_help(info),
                    show_default=_default(info),
                ),
            ],
        )
        for info in infos
    ]


def select_options(kind: type, values: Mapping[str, Any], only: Collection[str] | None = None) -> dict[str, Any]:
    """The values of one dataclass's options, mappings parsed; options that were left out (None) are absent.

    Args:
        kind: The options dataclass.
        values: Name -> value from the command line, of this and other dataclasses.
        only: Options of `kind` that the command offers; None = all.
    """
    infos = {info.name: info for info in describe_options(kind) if only is None or info.name in only}
    return {
        name: parse_mapping(name, value) if infos[name].type == dict[str, str] else value
        for name, value in values.items()
        if name in infos and value is not None
    }


def parse_arguments(kind: type, values: Mapping[str, Any], only: Collection[str] | None = None) -> Any:
    """An options dataclass from a command's values; messages name an option as the command does, for example --kimg.

    Args:
        kind: The options dataclass.
        values: Name -> value from the command line, of this and other dataclasses.
        only: Options of `kind` that the command offers; None = all.

    Raises:
        ConfigError: A value is out of its range.
    """
    return parse(kind, select_options(kind, values, only), "The command", only, label=flag)


def parse_mapping(name: str, pairs: Sequence[str]) -> dict[str, str]:
    """SITE=VALUE strings as a mapping; raises ConfigError for one without `=`."""
    for pair in pairs:
        if "=" not in pair:
            raise ConfigError(f"{flag(name)} {pair}: write it as {flag(name)} SITE=VALUE.")
    return dict(pair.split("=", 1) for pair in pairs)


def _annotation(info: OptionInfo) -> Any:
    if info.choices:
        return Literal[info.choices] | None
    if info.type in (tuple[str, ...], dict[str, str]):
        return tuple[str, ...] | None
    return info.type | None


def _help(info: OptionInfo) -> str:
    if info.range_text and not info.choices:  # cyclopts shows choices itself
        return f"{info.help} Range: {info.range_text}."
    return info.help


def _default(info: OptionInfo) -> Any:
    """What the help page shows as the default; a function, because to cyclopts a text is no default."""
    if info.default is None or info.default in ((), {}, ""):
        return False
    if isinstance(info.default, dict):
        text = " ".join(f"{key}={value}" for key, value in info.default.items())
    elif isinstance(info.default, tuple):
        text = " ".join(info.default)
    elif isinstance(info.default, bool):
        text = "yes" if info.default else "no"
    else:
        text = str(info.default)
    return lambda _: text
