"""outcome: a run's end, where people and alerts look for it."""

from datetime import UTC, datetime

from components.core.progress import say
from components.core.telemetry import RUN, publish_outcome

SUCCEEDED = "SUCCEEDED"


def tell(state: str, message: str, *, pipeline: str, run: str, created: str) -> None:
    """Says how a run ended, and pushes it to the Pushgateway that the environment names.

    Args:
        state: KFP's: SUCCEEDED, FAILED or CANCELLED.
        message: Why, where KFP says so.
        pipeline: The pipeline's name.
        run: The run's id.
        created: When the run was created, ISO 8601.
    """
    began = datetime.fromisoformat(created)
    seconds = (datetime.now(UTC) - (began if began.tzinfo else began.replace(tzinfo=UTC))).total_seconds()
    why = f": {message}" if message else ""
    say(f"{pipeline}, run {run}: {state} after {seconds / 3600:.1f} h{why}")
    if publish_outcome(RUN, state == SUCCEEDED, max(seconds, 0.0), pipeline=pipeline):
        say("The Pushgateway has it.")
