"""From JSON or YAML values to an options dataclass, and back.

KFP carries every number of a mapping as a double, so 5.0 is read as the integer 5 where an integer is asked for; a
YAML file may say the same as 5. Both give one canonical form, which cache keys and digests are made from.
"""

import difflib
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar

from components.core.errors import ConfigError
from components.core.options.fields import OptionInfo, describe_options

T = TypeVar("T")

_SHOWN = 60  # characters of a wrong value in a message
_ARTICLES = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


def parse(
    kind: type[T],
    values: Mapping[str, Any],
    where: str,
    only: Collection[str] | None = None,
    label: Callable[[str], str] | None = None,
) -> T:
    """An options dataclass from plain values.

    Args:
        kind: A frozen dataclass whose fields `option` made.
        values: Name -> value, as JSON or YAML gave it; None = left out.
        where: What a message begins with, for example "gan" or "profile demo: gan".
        only: The names that `values` may have; None = all of `kind`.
        label: What a message calls the option of a name, for example "--kimg"; None = "gan.kimg".

    Raises:
        ConfigError: An unknown name (the nearest known one is named), a wrong type, or a value out of its range.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} is {_short(values)}: write a mapping of option names to values.")
    infos = {info.name: info for info in describe_options(kind) if only is None or info.name in only}
    arguments = {}
    for name, value in values.items():
        if name not in infos:
            raise ConfigError(f"{where} has no option {name!r}{suggest(str(name), infos)}")
        if value is not None:
            arguments[name] = _convert(infos[name], value, label(name) if label else f"{where}.{name}")
    return kind(**arguments)


def check_options(options: T, where: str) -> T:
    """The options, each held to its type and range; for options that were built in Python.

    Raises:
        ConfigError: As `parse`.
    """
    return parse(type(options), to_values(options), where)


def suggest(name: str, known: Collection[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, else all."""
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {nearest[0]!r}?" if nearest else f"; there are {', '.join(sorted(known))}."


def to_values(options: Any) -> dict[str, Any]:
    """Options as plain JSON values in canonical form, without those left out (None)."""
    if not is_dataclass(options) or isinstance(options, type):
        raise TypeError(f"{type(options).__name__} is not an options dataclass")
    values = asdict(options)
    return {name: list(one) if isinstance(one, tuple) else one for name, one in values.items() if one is not None}


def result_values(options: Any, only: Collection[str] | None = None) -> dict[str, Any]:
    """The part of `to_values` that may change a result: what belongs into a cache key.

    Args:
        options: An options dataclass.
        only: Names to keep; None = all.
    """
    effective = {info.name for info in describe_options(type(options)) if info.affects_result}
    names = effective if only is None else effective & set(only)
    return {name: value for name, value in to_values(options).items() if name in names}


def _convert(info: OptionInfo, value: Any, where: str) -> Any:
    converted = _convert_type(info, value, where)
    if info.choices and converted not in info.choices:
        raise ConfigError(f"{where} is {_short(value)}: give {info.range_text}.")
    if isinstance(converted, int | float) and not isinstance(converted, bool):
        below = info.low is not None and (converted < info.low or (info.above and converted == info.low))
        if below or (info.high is not None and converted > info.high):
            raise ConfigError(f"{where} is {_short(value)}: give {_ARTICLES[info.type]}, {info.range_text}.")
    return converted


def _convert_type(info: OptionInfo, value: Any, where: str) -> Any:
    kind = info.type
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is float and type(value) in (int, float):
        if not math.isfinite(value):
            raise ConfigError(f"{where} is {_short(value)}: give a finite number.")
        return float(value)
    if kind in (bool, int, str):
        if type(value) is not kind:
            raise ConfigError(f"{where} is {_short(value)}: give {_ARTICLES[kind]}.")
        return value
    if kind is float:
        raise ConfigError(f"{where} is {_short(value)}: give a number.")
    if kind == tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise ConfigError(f"{where} is {_short(value)}: give a list of strings.")
        return tuple(value)
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ConfigError(f"{where} is {_short(value)}: give a mapping.")
    return {key: _text(one, f"{where}.{key}") for key, one in value.items()}


def _text(value: Any, where: str) -> str:
    """A mapping's value as text; YAML reads `SITE: 0.5` as a number."""
    if isinstance(value, str):
        return value
    if type(value) in (int, float) and math.isfinite(value):
        return f"{value:.12g}"
    raise ConfigError(f"{where} is {_short(value)}: give a string or a number.")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
