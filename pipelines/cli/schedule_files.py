"""Schedules as files in git: one YAML file for each recurring run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError
from components.core.options.profiles import read_yaml
from pipelines.cli.study_values import StudyValues, check_parameters, resolve_study
from pipelines.cluster.cron import check_cron
from pipelines.cluster.schedules import Schedule

_TYPES: dict[str, type] = {
    "name": str,
    "cron": str,
    "enabled": bool,
    "max_concurrency": int,
    "catch_up": bool,
    "experiment": str,
    "profile": str,
    "parameters": dict,
}
_KINDS = {str: "a string", bool: "true or false", int: "a whole number", dict: "a mapping"}


@dataclass(frozen=True)
class ScheduleFile:
    """A file's schedule.

    Attributes:
        schedule: The recurring run.
        values: Its study's parameters, checked.
    """

    schedule: Schedule
    values: StudyValues


def read_schedules(folder: Path) -> list[ScheduleFile]:
    """The schedules of a folder.

    Raises:
        ConfigError: With the file and what is wrong in it.
    """
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if not files:
        raise ConfigError(f"There is no schedule in {folder}: name a folder with a YAML file for each.")
    file_of: dict[str, str] = {}
    schedules = []
    for path in files:
        one = _read_schedule(path)
        name = one.schedule.name
        if name in file_of:
            raise ConfigError(f"{file_of[name]} and {path.name} are both named {name!r}: give each its own name.")
        file_of[name] = path.name
        schedules.append(one)
    return schedules


def _read_schedule(path: Path) -> ScheduleFile:
    keys = read_yaml(path)
    _check_keys(keys, path.name)
    stated = check_parameters(keys.pop("parameters", {}), path.name)
    values = resolve_study(keys.pop("profile", ""), stated)
    cron = check_cron(keys.pop("cron"), path.name)
    return ScheduleFile(Schedule(**keys, cron=cron, parameters=values.arguments), values)


def _check_keys(keys: Mapping[str, Any], where: str) -> None:
    if unknown := sorted(keys.keys() - _TYPES.keys()):
        raise ConfigError(f"{where} has the unknown key {unknown[0]!r}: it may have {', '.join(sorted(_TYPES))}.")
    for name in ("name", "cron"):
        if not keys.get(name):
            raise ConfigError(f"{where} has no {name}: write `{name}: …`.")
    for name, value in keys.items():
        if type(value) is not _TYPES[name]:
            raise ConfigError(f"{where}: {name} is {value!r}: write {_KINDS[_TYPES[name]]}.")
