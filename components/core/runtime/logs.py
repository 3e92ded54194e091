"""What a run says: one line an event, for a person on a terminal, as JSON for a log collector in a pod.

    THYGAN_LOG       json or text; where it is not set: json in a pod, text elsewhere
    THYGAN_RUN_ID    the run that this process is part of
    THYGAN_PIPELINE  the pipeline's name

No line carries a secret: values of variables whose names say that they are one are struck out, whoever writes them.
"""

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

LOG_VARIABLE, RUN_VARIABLE, PIPELINE_VARIABLE = "THYGAN_LOG", "THYGAN_RUN_ID", "THYGAN_PIPELINE"
DEFAULT_PIPELINE = "thygan-study"
_POD_VARIABLE = "KUBERNETES_SERVICE_HOST"
_SECRET_NAMES = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|_KEY$|CREDENTIAL")
_SHORTEST_SECRET = 6  # a shorter value would strike out ordinary words
_STRUCK = "***"
_ORIGIN = "thygan_origin"
_bound: dict[str, str] = {}  # of the whole process: one runs one stage, and its threads speak as it does


def is_json() -> bool:
    """Whether lines are JSON."""
    return os.environ.get(LOG_VARIABLE, "json" if is_pod() else "text") == "json"


def is_pod() -> bool:
    """Whether this process runs on Kubernetes."""
    return _POD_VARIABLE in os.environ


def current_context() -> dict[str, str]:
    """Which run, pipeline and stage this is, as far as it is known."""
    known = {
        "run": os.environ.get(RUN_VARIABLE, ""),
        "pipeline": os.environ.get(PIPELINE_VARIABLE, DEFAULT_PIPELINE),
        **_bound,
    }
    return {name: value for name, value in known.items() if value}


@contextmanager
def log_context(**known: str) -> Iterator[None]:
    """Adds to what every line inside the block carries."""
    before = dict(_bound)
    _bound.update(known)
    try:
        yield
    except BaseException as error:
        error.__dict__.setdefault(_ORIGIN, current_context())  # it may be told after the block
        raise
    finally:
        _bound.clear()
        _bound.update(before)


def set_context(**known: str) -> None:
    """Adds to what every line carries until the innermost `bound` ends."""
    _bound.update(known)


def emit(message: str, level: str = "info", *, to: TextIO | None = None, **fields: Any) -> None:
    """One event.

    Args:
        message: For a person.
        level: info, warning or error.
        to: Where to; None = standard output.
        fields: What a machine may want beside it; JSON only.
    """
    if not is_json():
        print(redact(message), file=to, flush=True)
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = {"time": now, "level": level, **current_context(), "message": message, **fields}
    print(redact(json.dumps(event, ensure_ascii=False, default=str)), file=to, flush=True)


def redact(text: str) -> str:
    """A text without the values of secret variables."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and _SECRET_NAMES.search(name) and "FILE" not in name:
            text = text.replace(value, _STRUCK)
    return text


def install() -> None:
    """Strikes secrets out of an unforeseen end as well; where lines are JSON, it and what libraries say become such."""
    sys.excepthook = _write_end
    if is_json():
        logging.captureWarnings(True)
        logging.basicConfig(handlers=[_Handler()], level=logging.WARNING, force=True)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        emit(record.getMessage().strip(), record.levelname.lower(), logger=record.name)


def _write_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    lines = "".join(traceback.format_exception(kind, error, trace))
    if not is_json():
        print(redact(lines), end="", file=sys.stderr, flush=True)
        return
    emit(f"{kind.__name__}: {error}", "error", **getattr(error, _ORIGIN, {}), traceback=lines)
