"""The groups of options, and which stage has which: the one table behind profiles, the shell and the pipeline.

Imports the light `options.py` of every stage and neither KFP nor torch.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from components.classifier_cv.options import ClassifierOptions
from components.core.errors import ConfigError
from components.core.options.parse import parse, suggest
from components.core.options.profiles import merge, read_profile
from components.core.options.schema import profile_schema
from components.core.options.shared import SharedOptions
from components.core.protocol.study_plan import check_arms
from components.external_eval.options import EvaluationOptions
from components.fid_select.options import SelectionOptions
from components.gan_train.options import GanOptions
from components.generate.options import GenerationOptions
from components.report.options import ReportOptions
from components.split.options import SplitOptions
from components.tile.options import TileOptions
from components.umap.options import UmapOptions

SHARED = "shared"
MPP = "mpp"  # a mapping at the top of a profile, beside its groups
GROUPS: dict[str, type] = {
    "tile": TileOptions,
    "split": SplitOptions,
    "gan": GanOptions,
    "selection": SelectionOptions,
    "generation": GenerationOptions,
    "classifier": ClassifierOptions,
    "evaluation": EvaluationOptions,
    "umap": UmapOptions,
    "report": ReportOptions,
    SHARED: SharedOptions,
}
STAGE_GROUP = {
    "tile": "tile",
    "split": "split",
    "gan_train": "gan",
    "fid_select": "selection",
    "generate": "generation",
    "classifier_cv": "classifier",
    "external_eval": "evaluation",
    "umap": "umap",
    "report": "report",
}


def shared_fields(stage: str) -> tuple[str, ...]:
    """The fields of SharedOptions that a stage reads: `SHARED` of its options.py."""
    return tuple(importlib.import_module(f"components.{stage}.options").SHARED)


def resolve_group(
    group: str, profile: str, options: Mapping[str, Any], shared: Mapping[str, Any]
) -> tuple[Any, SharedOptions]:
    """A group's options and the shared ones: the profile's, with those stated laid over them.

    Args:
        group: A group, for example "gan".
        profile: A shipped profile, a YAML file, or "none".
        options: Stated options of the group.
        shared: Stated options of the group `shared`.

    Raises:
        ConfigError: An unknown profile or option, a wrong type, or a value out of its range.
    """
    base = read_profile(profile)
    return (
        parse(GROUPS[group], merge(base.get(group, {}), options), group),
        parse(SharedOptions, merge(base.get(SHARED, {}), shared), SHARED),
    )


def resolve_groups(profile: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Every group's options: group -> its dataclass.

    Args:
        profile: A shipped profile, a YAML file, or "none".
        values: Group -> stated options; a group left out has none.

    Raises:
        ConfigError: As `check_groups`.
    """
    base = check_profile(read_profile(profile), f"Profile {profile}")
    stated = {name: one for name, one in values.items() if name in GROUPS}
    return check_groups(merge({name: one for name, one in base.items() if name != MPP}, stated))


def check_profile(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A profile's groups and its `mpp`, all of them held to types and ranges.

    Raises:
        ConfigError: As `check_groups`.
    """
    check_groups({name: one for name, one in values.items() if name != MPP}, where)
    mpp = values.get(MPP) or {}
    if not isinstance(mpp, Mapping) or not all(isinstance(one, str | int | float) for one in mpp.values()):
        raise ConfigError(f"{where}: mpp is {mpp!r}: write a mapping of sites to micrometres per pixel.")
    return dict(values)


def check_groups(values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """All groups at once, held to types, ranges and known names: group -> its dataclass.

    Args:
        values: Group -> option -> value; a group left out has its defaults.
        where: What a message begins with, for example "Profile demo"; '' = nothing.

    Raises:
        ConfigError: An unknown group, option or arm, a wrong type, or a value out of its range.
    """
    prefix = f"{where}: " if where else ""
    for name in values:
        if name not in GROUPS:
            raise ConfigError(f"{prefix}there is no group {name!r}{suggest(name, GROUPS)}")
    checked: dict[str, Any] = {
        name: parse(kind, values.get(name) or {}, f"{prefix}{name}") for name, kind in GROUPS.items()
    }
    check_arms(list(checked["split"].arms))
    return checked


def groups_schema() -> dict[str, Any]:
    """The JSON schema of profiles: every group, and `mpp`."""
    schema = profile_schema(GROUPS)
    mpp = {
        "type": "object",
        "additionalProperties": {"type": ["string", "number"]},
        "description": 'Micrometres per pixel of each site, a number, "metadata" or "unknown".',
    }
    schema["properties"] = {MPP: mpp, **schema["properties"]}
    return schema
