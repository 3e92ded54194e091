"""The study as it is uploaded to a cluster: in one DAG, inside an exit handler that publishes the outcome.

It is a module of its own because KFP lets no output out of an exit handler, and `thygan run` and the tests want the
outputs.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import Any

from kfp import dsl

from components.outcome.component import outcome
from pipelines.study import pipeline, published
from pipelines.study.evaluation import evaluation_tasks
from pipelines.study.fold import fold_pipeline
from pipelines.study.parameters import PARAMETERS, Parameter
from pipelines.study.pipeline import NAME, study_tasks
from pipelines.study.resources import KEPT_AFTER_S, LONGEST_RUN_S, schedule
from pipelines.study.tracing import define_study


@cache
def study_on_cluster() -> Any:
    """The study."""
    loops = partial(evaluation_tasks, fold=fold_pipeline())
    return _on_cluster(NAME, partial(study_tasks, evaluation=loops), PARAMETERS, pipeline.HELP)


@cache
def published_on_cluster() -> Any:
    """Thy-GAN's protocol."""
    loops = partial(
        published.published_evaluation_tasks, fold=fold_pipeline(), leaked_fold=published.pipeline_of_leaked_fold()
    )
    tasks = partial(study_tasks, evaluation=loops)
    return _on_cluster(published.NAME, tasks, published.PARAMETERS, published.HELP)


def _on_cluster(
    name: str, tasks: Callable[[Mapping[str, Any]], None], parameters: Iterable[Parameter], help: str
) -> Any:
    def build(inputs: Mapping[str, Any]) -> None:
        end = outcome(
            pipeline=name,
            run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            created=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
        ).set_caching_options(False)
        schedule(inputs, end)
        with dsl.ExitHandler(end, name="study"):
            tasks(inputs)

    config = dsl.PipelineConfig(
        ttl_seconds_after_finished=KEPT_AFTER_S,
        ttl_seconds_after_success=KEPT_AFTER_S,  # these two stand before the first, and are an hour by KFP's default
        ttl_seconds_after_failure=KEPT_AFTER_S,
        active_deadline_seconds=LONGEST_RUN_S,
    )
    return define_study(name, build, parameters, help, config=config)
