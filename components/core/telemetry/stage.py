"""The decorator of every stage's `run`: log lines with the stage's name, served metrics, a pushed outcome."""

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
    """Decorates a stage's `run`; of several processes of a training, only rank 0 serves and pushes.

    Args:
        run: A stage's `run`, with keyword parameters.

    Raises:
        ConfigError: THYGAN_METRICS_PORT or THYGAN_PUSHGATEWAY is invalid; raised before `run` starts.
    """
    stage = run.__module__.split(".")[-2]

    @wraps(run)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        logs.install()
        identity = {name: str(kwargs[name]) for name in ("scheme", "fold") if kwargs.get(name)}
        with logs.log_context(stage=stage, **identity):
            if os.environ.get("RANK", "0") != "0" or getattr(kwargs.get("options"), "dry_run", False):
                return run(*args, **kwargs)
            gateway, start, succeeded = gateway_of_environment(), time.monotonic(), False
            try:
                with serve_metrics(stage in LONG):
                    result = run(*args, **kwargs)
                succeeded = True
            finally:
                publish_outcome(stage, succeeded, time.monotonic() - start, gateway=gateway)
            return result

    return wrapper
