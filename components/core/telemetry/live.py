"""The metrics of a running stage, served to Prometheus."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from components.core.errors import ConfigError
from components.core.runtime import logs
from components.core.runtime.progress import log
from components.core.telemetry.series import COMMON, IMAGES_PER_SECOND, ITEMS, ITEMS_DONE, Series

T = TypeVar("T")

PORT_VARIABLE = "THYGAN_METRICS_PORT"
POD_PORT = 9400
_MAX_PORTS = 32


class StageMetrics:
    """Values of the series of one stage; the COMMON labels are those of its log lines.

    stage_metrics().set(KIMG, 12.8)
    stage_metrics().add(NONFINITE, 1, phase="g_main")
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._collectors: dict[str, Gauge | Counter] = {}

    def set(self, series: Series, value: float | None, **labels: str) -> None:
        """Sets a gauge; None = unchanged."""
        if value is not None:
            self._gauge(series, labels).set(value)

    def add(self, series: Series, amount: float, **labels: str) -> None:
        """Adds to a counter, or to a gauge."""
        self._child(series, labels).inc(amount)

    def set_function(self, series: Series, value: Callable[[], float], **labels: str) -> None:
        """Has the value of a gauge computed at every scrape."""
        self._gauge(series, labels).set_function(value)

    def plan(self, unit: str, items: int) -> None:
        """Sets the number of items to process."""
        self.set(ITEMS, items, unit=unit)
        self.set(ITEMS_DONE, 0, unit=unit)

    def count_done(self, unit: str, items: int = 1) -> None:
        """Counts processed items."""
        self.add(ITEMS_DONE, items, unit=unit)

    def _gauge(self, series: Series, labels: dict[str, str]) -> Gauge:
        child = self._child(series, labels)
        assert isinstance(child, Gauge), f"{series.name} is a counter"
        return child

    def _child(self, series: Series, labels: dict[str, str]) -> Gauge | Counter:
        if series.name not in self._collectors:
            kind = Counter if series.kind == "counter" else Gauge
            names = (*COMMON, *series.labels)
            self._collectors[series.name] = kind(series.name, series.help, names, registry=self.registry)
        known = logs.current_context()
        return self._collectors[series.name].labels(**{name: known.get(name, "") for name in COMMON}, **labels)


_current = [StageMetrics()]  # the innermost last; the first is never served


def stage_metrics() -> StageMetrics:
    """The metrics of the stage that this process runs."""
    return _current[-1]


def count_items(images: Iterable[T], total: int) -> Iterator[T]:
    """Yields images and updates the series of their total, their count and their rate.

    Args:
        images: The images.
        total: Their number.
    """
    metrics, start = stage_metrics(), time.monotonic()
    metrics.add(ITEMS, total, unit="images")
    metrics.count_done("images", 0)
    for number, image in enumerate(images, 1):
        yield image
        metrics.count_done("images")
        metrics.set(IMAGES_PER_SECOND, number / max(time.monotonic() - start, 1e-9))


@contextmanager
def serve_metrics(serves: bool = True) -> Iterator[StageMetrics]:
    """New StageMetrics for the block, served at /metrics.

    THYGAN_METRICS_PORT is the port, 0 = none; unset = 9400 in a pod and none elsewhere. If another process uses the
    port, the next free one is taken. Outside a pod only this machine can connect.

    Args:
        serves: Whether to serve them at all.

    Raises:
        ConfigError: THYGAN_METRICS_PORT is not a port.
    """
    port, metrics = _port(), StageMetrics()
    server = _serve(metrics, port) if serves and port else None
    _current.append(metrics)
    try:
        yield metrics
    finally:
        _current.remove(metrics)
        if server:
            server.shutdown()
            server.server_close()


def _port() -> int:
    text = os.environ.get(PORT_VARIABLE, str(POD_PORT) if logs.is_pod() else "0")
    if not text.isdecimal() or int(text) > 65535:
        raise ConfigError(f"{PORT_VARIABLE} is {text!r}: write a port from 1 to 65535, or 0 for none.")
    return int(text)


def _serve(metrics: StageMetrics, port: int) -> WSGIServer | None:
    host = "" if logs.is_pod() else "127.0.0.1"
    for candidate in range(port, min(port + _MAX_PORTS, 65536)):
        try:
            server, _ = start_http_server(candidate, host or "0.0.0.0", metrics.registry)  # noqa: S104 - a pod's own address
        except OSError:
            continue
        log(f"metrics: http://{host or '0.0.0.0'}:{candidate}/metrics")  # noqa: S104
        return server
    log(f"No metrics: the ports from {port} on are in use. Set another one in {PORT_VARIABLE}.", "warning")
    return None
