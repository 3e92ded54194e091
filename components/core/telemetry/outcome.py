"""How a stage or a run ended, pushed to a Pushgateway: it is gone before anybody could ask it."""

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
    """Tells the Pushgateway how a stage, or the whole run, ended.

    Series are added to the group (pipeline, stage): a failure leaves the last success standing. A gateway that does
    not answer costs a line, never the run.

    Args:
        stage: The stage's name, or RUN for a whole run.
        succeeded: Whether it did what it should.
        seconds: How long it took.
        pipeline: Name of the pipeline; '' = THYGAN_PIPELINE, or "thygan-study".
        gateway: `host:port` or `http://host:port`; '' = THYGAN_PUSHGATEWAY, where that is not set nothing is pushed.

    Returns:
        Whether it was pushed.

    Raises:
        ConfigError: The gateway's address cannot be meant.
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
    """Adds series to the group (pipeline, stage) of a Pushgateway; the rest as in `publish_outcome`."""
    url = _checked(gateway) if gateway else gateway_of_environment()
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
        log(f"The Pushgateway at {url} did not take the outcome ({getattr(error, 'reason', error)}). Going on.")
        return False
    return True


def gateway_of_environment() -> str:
    """The Pushgateway's URL, '' where nothing is to be pushed; raises ConfigError where it is none."""
    given = os.environ.get(GATEWAY_VARIABLE, "")
    return _checked(given) if given else ""


def _checked(address: str) -> str:
    url = address if "://" in address else f"http://{address}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ConfigError(f"{GATEWAY_VARIABLE} is no address of a Pushgateway: write http://host:port.")
    return url
