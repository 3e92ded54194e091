"""How nested pipelines take the study's options.

KFP reads a pipeline's parameters from its signature, so the study's list, with its help, would stand three times: in
the study and in both pipelines nested in it. It stands once; the nested ones are written with `**options`, and their
signatures are made from these tables.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any


class StageOptions:
    """Parameters of one stage under the study's names."""

    def __init__(self, stage: Any, *same: str, **renamed: str) -> None:
        """Names parameters.

        Args:
            stage: The stage's component, or a function that has its parameters.
            same: Parameters that the study calls as the stage does.
            renamed: Parameter of the stage = parameter of the study.
        """
        self._names = {name: name for name in same} | renamed
        self._stage = inspect.signature(getattr(stage, "python_func", stage)).parameters

    def of(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The stage's arguments out of the study's options."""
        return {own: options[name] for own, name in self._names.items()}

    def parameters(self) -> dict[str, inspect.Parameter]:
        """By the study's name, of the stage's type, without a default."""
        return {
            name: inspect.Parameter(
                name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=self._stage[own].annotation
            )
            for own, name in self._names.items()
        }


def taking(*tables: StageOptions) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a pipeline of `**options` the parameters of these tables."""

    def decorate(pipeline: Callable[..., Any]) -> Callable[..., Any]:
        stated = inspect.signature(pipeline)
        own = [one for one in stated.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        merged: dict[str, inspect.Parameter] = {}
        for table in tables:
            merged |= table.parameters()
        signature = stated.replace(parameters=[*own, *(merged[name] for name in merged)])

        @functools.wraps(pipeline)
        def called(*args: Any, **kwargs: Any) -> Any:
            return pipeline(**signature.bind(*args, **kwargs).arguments)

        called.__signature__ = signature  # type: ignore[attr-defined]
        return called

    return decorate


def like(other: Any) -> Callable[[Callable[[Mapping[str, Any]], Any]], Callable[..., Any]]:
    """Gives a pipeline of one mapping the parameters of another pipeline, and its help where it has none of its own."""
    signature = inspect.signature(other.pipeline_func)

    def decorate(pipeline: Callable[[Mapping[str, Any]], Any]) -> Callable[..., Any]:
        @functools.wraps(pipeline)
        def called(*args: Any, **kwargs: Any) -> Any:
            return pipeline(signature.bind(*args, **kwargs).arguments)

        called.__signature__ = signature  # type: ignore[attr-defined]
        called.__doc__ = pipeline.__doc__ or other.pipeline_func.__doc__
        return called

    return decorate


def chosen(options: Mapping[str, Any], *tables: StageOptions) -> dict[str, Any]:
    """What a pipeline of these tables takes, out of all options."""
    return {name: options[name] for table in tables for name in table.parameters()}
