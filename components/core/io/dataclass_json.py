"""Dataclasses out of JSON that somebody else may have written: the fields that there are, each of its own type."""

import types
from dataclasses import MISSING, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from components.core.errors import DataError

T = TypeVar("T")


def from_json(kind: type[T], value: Any, where: str) -> T:
    """A dataclass of JSON values.

    Args:
        kind: The dataclass; its fields are texts, numbers, booleans, and lists, tuples and dicts of these.
        value: What `json.loads` gave.
        where: Opens the sentence of an error.

    Raises:
        DataError: A field is missing, unknown, or of another type.
    """
    hints = get_type_hints(kind)
    if not isinstance(value, dict):
        raise _odd(where, kind, "it is no object of fields")
    for one in fields(kind):  # type: ignore[arg-type]
        if one.name not in value and one.default is MISSING and one.default_factory is MISSING:
            raise _odd(where, kind, f"it lacks {one.name!r}")
    for name, found in value.items():
        if name not in hints:
            raise _odd(where, kind, f"it has {name[:40]!r}, which is not known")
        if not _fits(found, hints[name]):
            raise _odd(where, kind, f"its {name!r} is of another type")
    return kind(**value)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of a field's type; a whole number is a float, too."""
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


def _odd(where: str, kind: type, reason: str) -> DataError:
    return DataError(
        f"{where} is no {kind.__name__} of thygan ({reason}): make it again with the stage that writes it."
    )
