"""The study's parameters from a shell: options of a command, profiles, texts as lists and mappings."""

import inspect
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from components.core.errors import ConfigError
from components.core.options.arguments import parse_mapping
from components.core.runtime.cli import with_options

PROFILES = Path(__file__).parents[2] / "components/core/profiles"
_PYTHON = {"String": str, "Integer": int, "Float": float, "Boolean": bool, "List": list, "Dict": dict}


def pipeline_parameters() -> Mapping[str, Any]:
    """Name -> KFP's description of a parameter."""
    from pipelines.study.pipeline import study

    return study.component_spec.inputs


def command_of(function: Callable[..., None], hidden: Collection[str] = ()) -> Callable[..., None]:
    """A command that takes the pipeline's parameters beside its own: one list of parameters for UI and shell.

    Args:
        function: Its last parameter is `**given`.
        hidden: Parameters that it does not offer.
    """
    own = inspect.signature(function).parameters
    options = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own.values() if p.name != "given"]
    parameters = {name: one for name, one in pipeline_parameters().items() if name not in hidden}
    options += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_default(one), annotation=_annotation(one))
        for name, one in parameters.items()
    ]

    def command(**given: Any) -> None:
        function(**given)

    helped = "\n".join(f"    {name}: {' '.join(one.description.split())}" for name, one in parameters.items())
    return with_options(command, options, f"{inspect.getdoc(function)}\n{helped}\n")


def merged(profile: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A profile's parameters with the options given over them."""
    parameters = pipeline_parameters()
    base = read_profile(profile)
    values = dict(base)
    for name, value in given.items():
        values[name] = value
        if _kind(parameters[name]) == "Dict":
            values[name] = {**base.get(name, {}), **_mapping(name, value)}
        elif _kind(parameters[name]) == "List":
            values[name] = [_json(name, one) if one.startswith("{") else one for one in value]
    return values


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters: those given, and the defaults of the others."""
    return {name: values.get(name, one.default) for name, one in pipeline_parameters().items()}


def read_profile(name: str) -> dict[str, Any]:
    """The parameters of a profile by name, or of a YAML file; none for ''.

    Raises:
        ConfigError: There is none of that name, or it says what no parameter can be.
    """
    if not name:
        return {}
    path = Path(name) if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"
    if not path.is_file():
        there = ", ".join(sorted(one.stem for one in PROFILES.glob("*.yaml")))
        raise ConfigError(f"There is no profile {name!r}: give one of {there}, or a YAML file.")
    return checked(read_yaml(path), f"Profile {path.name}")


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping; raises ConfigError where it is none."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = f" (line {mark.line + 1})" if (mark := getattr(error, "problem_mark", None)) else ""
        raise ConfigError(f"{path.name} is no YAML{where}: write one `name: value` a line.") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path.name} is no list of parameters: write one `name: value` a line.")
    return values


def checked(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Parameters that the pipeline has, of the types that it takes; raises ConfigError naming `where`."""
    known, found = pipeline_parameters(), dict(values)
    for key, value in values.items():
        if key not in known:
            raise ConfigError(f"{where} has the unknown key {key!r}: see `thygan run --help`.")
        kind = _PYTHON[_kind(known[key])]
        if kind is float and type(value) is int:
            found[key] = float(value)
        elif type(value) is not kind:
            raise ConfigError(f"{where}: {key} is {value!r}, which is no {kind.__name__}.")
    return found


def _mapping(name: str, texts: Sequence[str]) -> dict[str, Any]:
    if len(texts) == 1 and texts[0].startswith("{"):
        return _json(name, texts[0])
    return parse_mapping(name, texts)


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"--{name.replace('_', '-')} {text}: this is no JSON ({error}).") from None


def _annotation(parameter: Any) -> Any:
    kind = _PYTHON[_kind(parameter)]
    return tuple[str, ...] if kind in (list, dict) else kind


def _default(parameter: Any) -> Any:
    if _kind(parameter) == "Dict":
        return tuple(f"{key}={value}" for key, value in parameter.default.items())
    if _kind(parameter) == "List":
        return tuple(one if isinstance(one, str) else json.dumps(one) for one in parameter.default)
    return parameter.default


def _kind(parameter: Any) -> str:
    return str(parameter.type).split("[")[0]
