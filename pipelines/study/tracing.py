"""Pipelines from plain functions: the signature that KFP reads is made from data, and tracing is quick."""

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from kfp import dsl
from kfp.dsl import pipeline_task

from pipelines.study.parameters import Parameter


def define_pipeline(
    name: str,
    build: Callable[[Mapping[str, Any]], Any],
    inputs: Mapping[str, Any],
    outputs: Any = None,
    config: dsl.PipelineConfig | None = None,
) -> Any:
    """A KFP pipeline; it is traced here and now.

    Args:
        name: Its name.
        build: Makes the tasks from the arguments, name -> channel, and returns the outputs.
        inputs: Name -> type of every input, as an annotation has it.
        outputs: NamedTuple of artifact types; None = no outputs.
        config: Settings of a whole run.
    """
    parameters = [_parameter(one, kind) for one, kind in inputs.items()]
    return _trace(name, build, inspect.Signature(parameters, return_annotation=outputs), "", config)


def define_study(
    name: str,
    build: Callable[[Mapping[str, Any]], Any],
    parameters: Iterable[Parameter],
    help: str,
    outputs: Any = None,
    config: dsl.PipelineConfig | None = None,
) -> Any:
    """A KFP pipeline that people start: with defaults and help.

    Args:
        name: Its name.
        build: Makes the tasks from the arguments, name -> channel, and returns the outputs.
        parameters: Its parameters.
        help: What it does, in a sentence.
        outputs: NamedTuple of artifact types; None = no outputs.
        config: Settings of a whole run.
    """
    parameters = list(parameters)
    signature = inspect.Signature(
        [_parameter(one.name, one.type, one.default) for one in parameters], return_annotation=outputs
    )
    described = "\n".join(f"    {one.name}: {one.help}" for one in parameters)
    return _trace(name, build, signature, f"{help}\n\nArgs:\n{described}\n", config)


def _parameter(name: str, kind: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        annotation=kind,
        default=inspect.Parameter.empty if default is None else default,
    )


def _trace(
    name: str,
    build: Callable[[Mapping[str, Any]], Any],
    signature: inspect.Signature,
    documentation: str,
    config: dsl.PipelineConfig | None,
) -> Any:
    def pipeline(*channels: Any, **named: Any) -> Any:
        return build(signature.bind(*channels, **named).arguments)

    pipeline.__name__ = name.replace("-", "_")
    pipeline.__doc__ = documentation
    pipeline.__signature__ = signature  # type: ignore[attr-defined]
    pipeline.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
    with quick_stack():
        return dsl.pipeline(name=name, pipeline_config=config)(pipeline)


@contextlib.contextmanager
def quick_stack() -> Iterator[None]:
    """kfp with a cheap `inspect.stack`, of which it reads the caller's name at every setting of a task.

    The real one opens the source file of every frame, which takes most of the time of compiling.
    """
    stock = pipeline_task.inspect
    pipeline_task.inspect = SimpleNamespace(stack=_callers)
    try:
        yield
    finally:
        pipeline_task.inspect = stock


def _callers() -> list[tuple[Any, str, int, str]]:
    """The innermost frames as `inspect.stack` has them: frame, file, line, function."""
    frames = []
    for frame in (sys._getframe(1), sys._getframe(2)):
        frames.append((frame, frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
    return frames
