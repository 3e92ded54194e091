"""The series of one stage's run, for whoever asks while it works."""

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
_PORTS_TRIED = 32


class StageMetrics:
    """Values of series, with COMMON labels as log lines carry them.

    stage_metrics().set(KIMG, 12.8)
    stage_metrics().add(NONFINITE, 1, phase="g_main")
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._collectors: dict[str, Gauge | Counter] = {}

    def set(self, series: Series, value: float | None, **labels: str) -> None:
        """Sets a gauge; None leaves it as it is."""
        if value is not None:
            self._gauge(series, labels).set(value)

    def add(self, series: Series, amount: float, **labels: str) -> None:
        """Adds to a counter, or to a gauge."""
        self._child(series, labels).inc(amount)

    def set_function(self, series: Series, value: Callable[[], float], **labels: str) -> None:
        """Has a gauge computed whenever somebody asks."""
        self._gauge(series, labels).set_function(value)

    def plan(self, unit: str, items: int) -> None:
        """Says how many items there are to do."""
        self.set(ITEMS, items, unit=unit)
        self.set(ITEMS_DONE, 0, unit=unit)

    def count_done(self, unit: str, items: int = 1) -> None:
        """Says that more items are done."""
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


_current = [StageMetrics()]  # the innermost last; the first one is seen by nobody


def stage_metrics() -> StageMetrics:
    """The watch of the stage that this process runs."""
    return _current[-1]


def count_items(images: Iterable[T], total: int) -> Iterator[T]:
    """Yields images and shows how many there are to do, how many are done, and how many a second."""
    seen, began = stage_metrics(), time.monotonic()
    seen.add(ITEMS, total, unit="images")
    seen.count_done("images", 0)
    for number, image in enumerate(images, 1):
        yield image
        seen.count_done("images")
        seen.set(IMAGES_PER_SECOND, number / max(time.monotonic() - began, 1e-9))


@contextmanager
def serve_metrics(serves: bool = True) -> Iterator[StageMetrics]:
    """A watch for the block; where it `serves` and that is wanted, a server shows it at /metrics.

    THYGAN_METRICS_PORT says on which port, 0 = on none; where it is not set, on 9400 in a pod and on none elsewhere. A
    port that is taken, by another stage on this machine, is counted up. Outside a pod only this machine is answered.

    Raises:
        ConfigError: The variable holds no port.
    """
    port, own = _port(), StageMetrics()
    server = _serve(own, port) if serves and port else None
    _current.append(own)
    try:
        yield own
    finally:
        _current.remove(own)
        if server:
            server.shutdown()
            server.server_close()


def _port() -> int:
    given = os.environ.get(PORT_VARIABLE, str(POD_PORT) if logs.is_pod() else "0")
    if not given.isdecimal() or int(given) > 65535:
        raise ConfigError(f"{PORT_VARIABLE} is {given!r}: give a port from 1 to 65535, or 0 for none.")
    return int(given)


def _serve(own: StageMetrics, port: int) -> WSGIServer | None:
    host = "" if logs.is_pod() else "127.0.0.1"
    for candidate in range(port, min(port + _PORTS_TRIED, 65536)):
        try:
            server, _ = start_http_server(candidate, host or "0.0.0.0", own.registry)  # noqa: S104 - a pod's own address
        except OSError:
            continue
        log(f"metrics: http://{host or '0.0.0.0'}:{candidate}/metrics")  # noqa: S104
        return server
    log(f"No metrics: the ports from {port} on are taken. Give another one by {PORT_VARIABLE}.")
    return None
