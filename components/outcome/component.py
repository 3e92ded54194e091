"""How a run ended, as a KFP component: the exit task of a study on a cluster."""

from kfp import dsl

from components.kfp_component import image


@dsl.component(base_image=image("split"), install_kfp_package=False)
def outcome(status: dsl.PipelineTaskFinalStatus, pipeline: str, run: str, created: str) -> None:
    """Says how the run ended, and tells the Pushgateway.

    Args:
        status: Of everything before it.
        pipeline: The pipeline's name.
        run: The run's id.
        created: When the run was created, ISO 8601.
    """
    from components.outcome.stage import tell

    tell(status.state, status.error_message, pipeline=pipeline, run=run, created=created)
