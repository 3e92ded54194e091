"""The outcome of a run as a KFP component: the exit task of a study on a cluster."""

from kfp import dsl

from components.kfp_component import image


@dsl.component(base_image=image("split"), install_kfp_package=False)
def outcome(status: dsl.PipelineTaskFinalStatus, pipeline: str, run: str, created: str) -> None:
    """Logs how the run ended, and pushes it to the Pushgateway.

    Args:
        status: Final status of the tasks before it.
        pipeline: Name of the pipeline.
        run: Id of the run.
        created: Time of the run's creation, ISO 8601.
    """
    from components.outcome.stage import report_outcome

    report_outcome(status.state, status.error_message, pipeline=pipeline, run=run, created=created)
