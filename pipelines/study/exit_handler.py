"""The study as it is uploaded to a cluster: the same pipeline, inside an exit handler that publishes the outcome.

It stands apart because KFP lets nothing out of an exit handler, and `thygan run` and the tests want the outputs.
"""

import functools
import inspect
from typing import Any

from kfp import dsl

from components.outcome.component import outcome
from pipelines.study.pipeline import study
from pipelines.study.published import published
from pipelines.study.resources import KEPT_AFTER_S, LONGEST_RUN_S, schedule

NAME = "thygan-study"


def _with_outcome(pipeline: Any) -> Any:
    """A pipeline without outputs that has another's parameters and help."""
    function = pipeline.pipeline_func
    signature = inspect.signature(function).replace(return_annotation=inspect.Signature.empty)

    @functools.wraps(function)
    def whole(*several: Any) -> None:
        given = dict(zip(signature.parameters, several, strict=True))
        end = outcome(
            pipeline=pipeline.name,
            run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            created=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
        ).set_caching_options(False)
        schedule(given, end)
        with dsl.ExitHandler(end, name="study"):
            pipeline(**given)

    whole.__signature__ = signature  # type: ignore[attr-defined]
    whole.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    return whole


def _on_cluster(pipeline: Any) -> Any:
    config = dsl.PipelineConfig(
        ttl_seconds_after_finished=KEPT_AFTER_S,
        ttl_seconds_after_success=KEPT_AFTER_S,  # these two stand before the first, and are an hour by KFP's default
        ttl_seconds_after_failure=KEPT_AFTER_S,
        active_deadline_seconds=LONGEST_RUN_S,
    )
    return dsl.pipeline(name=pipeline.name, pipeline_config=config)(_with_outcome(pipeline))


study_on_cluster = _on_cluster(study)
published_on_cluster = _on_cluster(published)
