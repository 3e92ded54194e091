"""Declaring an option: a dataclass field that carries its help, range and effect.

A stage's options are one frozen dataclass whose fields are made by `option`. Everything else follows from it: the
stage's command line, the groups of `thygan run`, the JSON schema of profiles, and the key of cached results.
"""

import dataclasses
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class OptionInfo:
    """What is known of one option.

    Attributes:
        name: Its name, the same in every place.
        type: `bool`, `int`, `float`, `str`, `tuple[str, ...]` or `dict[str, str]`.
        optional: Whether it may be left out (`None`), which means what `help` says.
        default: Its value when nothing is stated.
        help: One or two plain sentences, unit included.
        choices: Allowed strings; empty = any.
        low: Smallest number allowed; None = no bound.
        high: Largest number allowed; None = no bound.
        above: True = `low` itself is not allowed.
        affects_result: Whether another value may change what the stage writes.
        reads_outside: Whether it names files that may change while their name stays.
    """

    name: str
    type: Any
    optional: bool
    default: Any
    help: str
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    above: bool
    affects_result: bool
    reads_outside: bool

    @property
    def range_text(self) -> str:
        """The range in words, for help and messages; '' = none."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.low is not None and self.high is not None:
            return f"{'above ' if self.above else ''}{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"{'above' if self.above else 'at least'} {self.low:g}"
        return f"at most {self.high:g}" if self.high is not None else ""


def option(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    above: bool = False,
    affects_result: bool = True,
    reads_outside: bool = False,
) -> Any:
    """A dataclass field with its help.

    Args:
        default: Value when nothing is stated; `None` where leaving it out has a meaning of its own, which `help` says.
            A tuple or a dict is copied for every instance.
        help: One or two plain sentences with the unit.
        choices: Texts that it may be; none = any text.
        low: Smallest number allowed.
        high: Largest number allowed.
        above: True = the number must be above `low`.
        affects_result: False for what changes speed, memory or place, and never the result.
        reads_outside: True for paths and addresses whose content may change under the same name.
    """
    metadata = {
        "help": help,
        "choices": tuple(choices),
        "low": low,
        "high": high,
        "above": above,
        "affects_result": affects_result,
        "reads_outside": reads_outside,
    }
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def describe_options(kind: type) -> Iterator[OptionInfo]:
    """Every option of an options dataclass, in the order of its definition."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        is_optional = get_origin(hint) in (types.UnionType, Union) and type(None) in get_args(hint)
        inner = next(one for one in get_args(hint) if one is not type(None)) if is_optional else hint
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        yield OptionInfo(field.name, inner, is_optional, default, **field.metadata)
