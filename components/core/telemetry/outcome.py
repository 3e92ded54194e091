"""Outcomes of stages and runs, pushed to a Pushgateway because their processes end before a scrape."""

import os
import time
from collections.abc import Iterable
from urllib.error import URLError
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway

from components.core.errors import ConfigError
from components.core.runtime import logs
from components.core.runtime.progress import log
from components.core.telemetry.series import ENDED, LAST_SUCCESS, SECONDS, SUCCEEDED, Series

GATEWAY_VARIABLE = "THYGAN_PUSHGATEWAY"
JOB, RUN = "thygan", "run"
_TIMEOUT_S = 5.0

Values = Iterable[tuple[Series, float, dict[str, str]]]


def publish_outcome(stage: str, succeeded: bool, seconds: float, *, pipeline: str = "", gateway: str = "") -> bool:
    """Pushes the outcome of a stage, or of the whole run, to the Pushgateway.

    Series are added to the group (pipeline, stage), so that a failure keeps the time of the last success. A gateway
    that does not answer causes a warning, never a failure.

    Args:
        stage: Name of the stage, or RUN for a whole run.
        succeeded: Whether it succeeded.
        seconds: Duration, seconds.
        pipeline: Name of the pipeline; '' = THYGAN_PIPELINE, or "thygan-study".
        gateway: `host:port` or `http://host:port`; '' = THYGAN_PUSHGATEWAY; if that is unset, nothing is pushed.

    Returns:
        Whether the outcome was pushed.

    Raises:
        ConfigError: The address of the gateway is invalid.
    """
    now = time.time()
    values: list[tuple[Series, float, dict[str, str]]] = [
        (SUCCEEDED, float(succeeded), {}),
        (SECONDS, seconds, {}),
        (ENDED, now, {}),
    ]
    if succeeded:
        values.append((LAST_SUCCESS, now, {}))
    return push(stage, values, pipeline=pipeline, gateway=gateway)


def push(stage: str, values: Values, *, pipeline: str = "", gateway: str = "") -> bool:
    """Adds series to the group (pipeline, stage) of a Pushgateway.

    Args:
        stage: Name of the stage.
        values: Series, value and labels of each sample.
        pipeline: As in `publish_outcome`.
        gateway: As in `publish_outcome`.

    Returns:
        Whether the series were pushed.
    """
    url = _parse_address(gateway) if gateway else gateway_of_environment()
    if not url:
        return False
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for series, value, labels in values:
        if series.name not in gauges:
            gauges[series.name] = Gauge(series.name, series.help, series.labels, registry=registry)
        (gauges[series.name].labels(**labels) if labels else gauges[series.name]).set(value)
    group = {"pipeline": pipeline or logs.current_context()["pipeline"], "stage": stage}
    try:
        pushadd_to_gateway(url, JOB, registry, group, timeout=_TIMEOUT_S)
    except (URLError, OSError, ValueError) as error:
        log(f"The Pushgateway at {url} did not accept the outcome ({getattr(error, 'reason', error)}).", "warning")
        return False
    return True


def gateway_of_environment() -> str:
    """URL of the Pushgateway; '' = THYGAN_PUSHGATEWAY is unset; raises ConfigError for an invalid one."""
    address = os.environ.get(GATEWAY_VARIABLE, "")
    return _parse_address(address) if address else ""


def _parse_address(address: str) -> str:
    url = address if "://" in address else f"http://{address}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ConfigError(f"{GATEWAY_VARIABLE} is not the address of a Pushgateway: write http://host:port.")
    return url
