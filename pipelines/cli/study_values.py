"""What a study is started with: a profile, what is stated over it, and both checked before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError
from components.core.options.parse import suggest, to_values
from components.core.options.profiles import merge, profile_names, read_profile
from components.groups import GROUPS, check_groups
from pipelines.cli.old_names import refuse_old_keys
from pipelines.study.parameters import PARAMETERS, uses_one_generator

PROFILE = "profile"
TYPES = {one.name: one.type for one in PARAMETERS if one.name != PROFILE}
_KINDS = {str: "a string", int: "a whole number", list: "a list", dict: "a mapping"}


@dataclass(frozen=True)
class StudyValues:
    """A study's parameters, checked.

    Attributes:
        arguments: The pipeline's arguments as KFP takes them: what was stated, without nulls, in canonical form. A
            profile file is expanded into them; a shipped profile stays a name.
        groups: Group -> its options with the profile's and the defaults.
    """

    arguments: dict[str, Any]
    groups: dict[str, Any]

    @property
    def uses_one_generator(self) -> bool:
        """Whether the options ask for Thy-GAN's protocol, one generator for all folds."""
        return uses_one_generator(self.groups["shared"])


def resolve_study(profile: str, stated: Mapping[str, Any]) -> StudyValues:
    """A study's parameters from a profile and from what is stated over it.

    Args:
        profile: A shipped profile, a YAML file, or '' or "none" for neither.
        stated: Parameter -> value; groups as mappings, None = not stated.

    Raises:
        ConfigError: An unknown profile, name, type or value.
    """
    base = check_parameters(read_profile(profile), f"Profile {Path(profile).name}")
    over = check_parameters(stated, "")
    values = merge(base, over)
    groups = check_groups({name: values[name] for name in GROUPS if name in values})
    arguments = values
    if profile in profile_names():
        arguments = {PROFILE: profile} | over | {name: values[name] for name in ("mpp",) if name in values}
    for name in GROUPS.keys() & arguments.keys():
        canonical = to_values(groups[name])
        arguments[name] = {key: canonical[key] for key in arguments[name]}
    return StudyValues(arguments, groups)


def check_parameters(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Parameters of the study, each of its type, and their groups checked; what is left out (None) does not appear.

    Args:
        values: Parameter -> value.
        where: What a message begins with, for example "weekly.yaml"; '' = nothing.

    Raises:
        ConfigError: An unknown name, a wrong type or a value out of its range.
    """
    refuse_old_keys(values, where or "The study's parameters")
    prefix = f"{where}: " if where else ""
    for name, value in values.items():
        if name not in TYPES:
            raise ConfigError(f"{prefix}the study has no parameter {name!r}{suggest(str(name), TYPES)}")
        if value is not None and not _is_of_type(value, TYPES[name]):
            raise ConfigError(f"{prefix}{name} is {value!r}: write {_KINDS[TYPES[name]]}.")
    present = merge({name: {} for name in GROUPS}, values)
    check_groups({name: present[name] for name in GROUPS}, where)
    if "mpp" in present:
        present["mpp"] = {site: _mpp_text(site, value, prefix) for site, value in present["mpp"].items()}
    return {name: value for name, value in present.items() if value or name not in GROUPS}


def _is_of_type(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list | tuple)
    if kind is dict:
        return isinstance(value, Mapping)
    return type(value) is kind


def _mpp_text(site: str, value: Any, prefix: str) -> str:
    """A site's micrometres per pixel as text; YAML reads `SITE: 0.5` as a number."""
    if isinstance(value, str):
        return value
    if type(value) in (int, float):
        return f"{value:.12g}"
    raise ConfigError(f'{prefix}mpp of {site} is {value!r}: write a number, "metadata" or "unknown".')
