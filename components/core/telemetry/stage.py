"""What every stage's `run` is wrapped in: its log lines know the stage, its series are served, its outcome is told."""

import os
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from components.core.runtime import logs
from components.core.telemetry.live import serve_metrics
from components.core.telemetry.outcome import gateway_of_environment, publish_outcome
from components.core.telemetry.series import LONG

P = ParamSpec("P")
R = TypeVar("R")


def instrumented(run: Callable[P, R]) -> Callable[P, R]:
    """Wraps a stage's `run`. Of a training's processes only the first one is seen from outside.

    Raises:
        ConfigError: A variable that says where to show or to push things cannot be meant; before anything is done.
    """
    stage = run.__module__.split(".")[-2]

    @wraps(run)
    def wrapper(*given: P.args, **named: P.kwargs) -> R:
        logs.install()
        known = {name: str(named[name]) for name in ("scheme", "fold") if named.get(name)}
        with logs.log_context(stage=stage, **known):
            if os.environ.get("RANK", "0") != "0" or named.get("dry_run"):
                return run(*given, **named)
            gateway, began, succeeded = gateway_of_environment(), time.monotonic(), False
            try:
                with serve_metrics(stage in LONG):
                    result = run(*given, **named)
                succeeded = True
            finally:
                publish_outcome(stage, succeeded, time.monotonic() - began, gateway=gateway)
            return result

    return wrapper
