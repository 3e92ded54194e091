"""Commands that start a study: their options are its parameters, and a dotted one for every option of a group."""

import functools
import inspect
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Annotated, Any

import cyclopts

from components.core.errors import ConfigError
from components.core.options.arguments import flag, option_parameters, parse_mapping
from components.core.options.fields import describe_options
from components.core.runtime.cli import with_options
from components.groups import GROUPS
from pipelines.cli.old_names import NEW_NAMES
from pipelines.cli.study_values import PROFILE
from pipelines.study.parameters import PARAMETERS, Parameter

_PANELS = {
    "tile": "Tiles",
    "split": "Folds, arms and study plan",
    "gan": "GAN training",
    "selection": "Snapshot selection",
    "generation": "Synthetic tiles",
    "classifier": "Classifier training",
    "evaluation": "External evaluation",
    "umap": "UMAP and domain gap",
    "report": "Report",
    "shared": "Shared by several stages",
}
_OLD = "old_"  # begins the parameters that catch old names
_STUDY = [one for one in PARAMETERS if one.name not in GROUPS and one.name != PROFILE]


def study_command(hidden: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command of a function that takes options and `stated`, the study's parameters as a mapping.

    Args:
        hidden: Parameters, and options as "gan.train_job", that the command does not offer.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        direct = [one for one in inspect.signature(function).parameters.values() if one.name != "stated"]

        @functools.wraps(function)
        def command(**values: Any) -> None:
            _refuse_old_options(values)
            arguments = {one.name: values[one.name] for one in direct if one.name in values}
            function(**arguments, stated=collect_stated(values))

        options = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in direct]
        options += [_parameter(one) for one in _STUDY if one.name not in hidden]
        options += _group_parameters(hidden)
        options += _old_parameters()
        return with_options(command, options, inspect.getdoc(function))

    return decorate


def collect_stated(values: dict[str, Any]) -> dict[str, Any]:
    """The study's parameters out of a command's values: parameter -> value, a group as a mapping of its options."""
    stated: dict[str, Any] = {}
    for one in _STUDY:
        if (value := values.get(one.name)) is not None:
            stated[one.name] = _parse(one, value)
    for group, kind in GROUPS.items():
        for info in describe_options(kind):
            if (value := values.get(f"{group}_{info.name}")) is not None:
                is_mapping = info.type == dict[str, str]
                option = parse_mapping(f"{group}.{info.name}", value) if is_mapping else value
                stated.setdefault(group, {})[info.name] = option
    return stated


def _parameter(one: Parameter) -> inspect.Parameter:
    """A parameter of the study that is not a group."""
    kind: Any = tuple[str, ...] if one.type in (list, dict) else one.type
    default = " ".join(one.default) if isinstance(one.default, list | dict) else one.default
    shown = (lambda _: str(default)) if default not in (None, "") else False
    panel = cyclopts.Group("Pools of a cluster", sort_key=99) if one.is_pool else cyclopts.Group("Study", sort_key=1)
    annotation = Annotated[kind | None, cyclopts.Parameter(group=panel, help=one.help, show_default=shown)]
    return inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _group_parameters(hidden: Collection[str]) -> Iterator[inspect.Parameter]:
    for position, (group, kind) in enumerate(GROUPS.items(), start=2):
        infos = [info for info in describe_options(kind) if f"{group}.{info.name}" not in hidden]
        panel = cyclopts.Group(f"{_PANELS[group]} (--{group}.…)", sort_key=position)
        yield from option_parameters(infos, panel, f"{group}.")


def _old_parameters() -> Iterator[inspect.Parameter]:
    """Options that the help page does not show, one for each old name, with and without values."""
    for name in NEW_NAMES:
        names = (flag(name), flag(f"no-{name}"))
        annotation = Annotated[tuple[str, ...] | None, cyclopts.Parameter(name=names, show=False, negative=())]
        yield inspect.Parameter(_OLD + name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _refuse_old_options(values: dict[str, Any]) -> None:
    for name, new in NEW_NAMES.items():
        if values.get(_OLD + name) is not None:
            raise ConfigError(f"{flag(name)} is now {flag(new)}.")


def _parse(one: Parameter, value: Any) -> Any:
    """A parameter's value from texts; a list's items and a whole mapping may be JSON."""
    if one.type is list:
        return [_parse_json(one.name, text) if text.startswith("{") else text for text in value]
    if one.type is dict:
        return _parse_json(one.name, value[0]) if _is_json(value) else parse_mapping(one.name, value)
    return value


def _is_json(texts: Sequence[str]) -> bool:
    return len(texts) == 1 and texts[0].startswith("{")


def _parse_json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{flag(name)} {text}: this is not JSON ({error}).") from None
