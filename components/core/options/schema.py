"""The JSON schema of profiles, from which editors complete and check."""

from collections.abc import Mapping
from typing import Any

from components.core.options.fields import OptionInfo, describe_options

_TYPES: dict[Any, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    tuple[str, ...]: {"type": "array", "items": {"type": "string"}},
    dict[str, str]: {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
}


def profile_schema(groups: Mapping[str, type]) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a profile.

    Args:
        groups: Group -> its options dataclass.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Profile of a thygan study",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _group_schema(kind) for name, kind in groups.items()},
    }


def _group_schema(kind: type) -> dict[str, Any]:
    properties = {info.name: _option_schema(info) for info in describe_options(kind)}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _option_schema(info: OptionInfo) -> dict[str, Any]:
    schema = dict(_TYPES[info.type]) | {"description": info.help}
    if info.optional:
        schema["type"] = [schema["type"], "null"]
    else:
        schema["default"] = list(info.default) if isinstance(info.default, tuple) else info.default
    if info.choices:
        schema["enum"] = [*info.choices, None] if info.optional else list(info.choices)
    if info.low is not None:
        schema["exclusiveMinimum" if info.above else "minimum"] = info.low
    if info.high is not None:
        schema["maximum"] = info.high
    return schema
