"""Dataclasses from untrusted JSON, with the names and types of all fields checked."""

import types
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from components.core.errors import DataError

T = TypeVar("T")


def from_json(kind: type[T], value: Any, where: str) -> T:
    """A dataclass from JSON values.

    Args:
        kind: A dataclass with fields of strings, numbers, booleans, and lists, tuples and dicts of these.
        value: Value from `json.loads`.
        where: Subject of an error message, for example the path.

    Raises:
        DataError: A field is missing, unknown, or of another type.
    """
    hints = get_type_hints(kind)
    if not isinstance(value, dict):
        raise _error(where, kind, "it is not a JSON object")
    for item in fields(kind):  # type: ignore[arg-type]
        if item.name not in value and item.default is MISSING and item.default_factory is MISSING:
            raise _error(where, kind, f"it lacks {item.name!r}")
    for name, field_value in value.items():
        if name not in hints:
            raise _error(where, kind, f"it has {name[:40]!r}, which is unknown")
        if not _fits(field_value, hints[name]):
            raise _error(where, kind, f"its {name!r} is of another type")
    return kind(**value)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value has the type of a field; a whole number counts as a float."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return any(_fits(value, one) for one in inside)
    if origin in (list, tuple):
        return isinstance(value, list) and all(_fits(one, inside[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(one, inside[1]) for one in value.values())
    if hint is float and type(value) is int:
        return abs(value) < 2**63
    return hint is Any or type(value) is hint


def _error(where: str, kind: type, reason: str) -> DataError:
    return DataError(f"{where} is not a valid {kind.__name__} ({reason}): run the stage that writes it again.")
