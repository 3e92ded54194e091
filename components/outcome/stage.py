"""The outcome of a run, in the log and at the Pushgateway."""

import math
from datetime import UTC, datetime

from components.core.runtime.progress import log
from components.core.telemetry.outcome import RUN, publish_outcome

SUCCESSES = frozenset({"COMPLETE", "CACHED", "SUCCEEDED"})  # KFP 2.17's driver, its cache, kfp.local and the API


def report_outcome(state: str, message: str, *, pipeline: str, run: str, created: str) -> None:
    """Logs how a run ended, and pushes it to the Pushgateway that the environment names.

    Args:
        state: KFP's state of the tasks before the exit task: one of SUCCESSES, FAILED or CANCELLED.
        message: KFP's error message; '' = none.
        pipeline: Name of the pipeline.
        run: Id of the run.
        created: Time of the run's creation, ISO 8601; a server that does not know it leaves the placeholder.
    """
    seconds = _seconds_since(created)
    took = "" if math.isnan(seconds) else f" after {seconds / 3600:.1f} h"
    log(f"{pipeline}, run {run}: {state}{took}{f': {message}' if message else ''}")
    if publish_outcome(RUN, state in SUCCESSES, seconds, pipeline=pipeline):
        log("The outcome was pushed to the Pushgateway.")


def _seconds_since(created: str) -> float:
    try:
        start = datetime.fromisoformat(created)
    except ValueError:
        return math.nan
    return (datetime.now(UTC) - (start if start.tzinfo else start.replace(tzinfo=UTC))).total_seconds()
