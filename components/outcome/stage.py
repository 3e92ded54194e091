"""outcome: a run's end, where people and alerts look for it."""

import math
from datetime import UTC, datetime

from components.core.runtime.progress import log
from components.core.telemetry.outcome import RUN, publish_outcome

SUCCESSES = frozenset({"COMPLETE", "CACHED", "SUCCEEDED"})  # KFP 2.17's driver, its cache, kfp.local and the API


def tell(state: str, message: str, *, pipeline: str, run: str, created: str) -> None:
    """Says how a run ended, and pushes it to the Pushgateway that the environment names.

    Args:
        state: KFP's state of everything before the exit task: one of SUCCESSES, FAILED or CANCELLED.
        message: Why, where KFP says so.
        pipeline: The pipeline's name.
        run: The run's id.
        created: When the run was created, ISO 8601; a server that does not say it leaves the placeholder.
    """
    seconds = _seconds_since(created)
    took = "" if math.isnan(seconds) else f" after {seconds / 3600:.1f} h"
    log(f"{pipeline}, run {run}: {state}{took}{f': {message}' if message else ''}")
    if publish_outcome(RUN, state in SUCCESSES, seconds, pipeline=pipeline):
        log("The Pushgateway has it.")


def _seconds_since(created: str) -> float:
    try:
        began = datetime.fromisoformat(created)
    except ValueError:
        return math.nan
    return (datetime.now(UTC) - (began if began.tzinfo else began.replace(tzinfo=UTC))).total_seconds()
