"""Log lines of a run: text for a person on a terminal, one JSON object a line for a log collector in a pod.

    THYGAN_LOG       json or text; unset = json in a pod, text elsewhere
    THYGAN_RUN_ID    id of the run that this process is part of
    THYGAN_PIPELINE  name of the pipeline

No line carries a secret: the values of environment variables with names such as *_TOKEN are replaced by ***.
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
_MIN_SECRET_CHARS = 6  # a shorter value would redact ordinary words
_REDACTED = "***"
_ERROR_CONTEXT = "thygan_context"  # attribute of an exception
_context: dict[str, str] = {}  # of the whole process: it runs one stage, whose threads share it


def is_json() -> bool:
    """Whether lines are JSON."""
    return os.environ.get(LOG_VARIABLE, "json" if is_pod() else "text") == "json"


def is_pod() -> bool:
    """Whether this process runs on Kubernetes."""
    return _POD_VARIABLE in os.environ


def current_context() -> dict[str, str]:
    """The run, pipeline, stage, scheme and fold of this process, as far as they are known."""
    known = {
        "run": os.environ.get(RUN_VARIABLE, ""),
        "pipeline": os.environ.get(PIPELINE_VARIABLE, DEFAULT_PIPELINE),
        **_context,
    }
    return {name: value for name, value in known.items() if value}


@contextmanager
def log_context(**known: str) -> Iterator[None]:
    """Adds fields to every line inside the block."""
    before = dict(_context)
    _context.update(known)
    try:
        yield
    except BaseException as error:
        error.__dict__.setdefault(_ERROR_CONTEXT, current_context())  # for a line after the block
        raise
    finally:
        _context.clear()
        _context.update(before)


def set_context(**known: str) -> None:
    """Adds fields to every line until the innermost `log_context` ends."""
    _context.update(known)


def error_context(error: BaseException) -> dict[str, Any]:
    """The context in which an exception left its `log_context`; empty = it left none."""
    return dict(getattr(error, _ERROR_CONTEXT, {}))


def emit(message: str, level: str = "info", *, to: TextIO | None = None, **fields: Any) -> None:
    """Writes one line.

    Args:
        message: Text for a person.
        level: "info", "warning" or "error"; JSON lines carry it.
        to: Stream to write to; None = standard output.
        fields: Values for a log collector; JSON lines carry them.
    """
    if not is_json():
        print(redact(message), file=to, flush=True)
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = {"time": now, "level": level, **current_context(), "message": message, **fields}
    print(redact(json.dumps(event, ensure_ascii=False, default=str)), file=to, flush=True)


def redact(text: str) -> str:
    """A text with the values of secret environment variables replaced by ***."""
    for name, value in os.environ.items():
        if len(value) >= _MIN_SECRET_CHARS and _SECRET_NAMES.search(name) and "FILE" not in name:
            text = text.replace(value, _REDACTED)
    return text


def install() -> None:
    """Redacts uncaught exceptions; where lines are JSON, exceptions and messages of libraries become JSON too."""
    sys.excepthook = _write_exception
    if is_json():
        logging.captureWarnings(True)
        logging.basicConfig(handlers=[_Handler()], level=logging.WARNING, force=True)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        emit(record.getMessage().strip(), record.levelname.lower(), logger=record.name)


def _write_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    lines = "".join(traceback.format_exception(kind, error, trace))
    if not is_json():
        print(redact(lines), end="", file=sys.stderr, flush=True)
        return
    emit(f"{kind.__name__}: {error}", "error", traceback=lines, **error_context(error))
