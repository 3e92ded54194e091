"""What a stage says it did: scalars, tables and the time it took, with the records of the stages before it.

Every artifact carries the records of its whole chain as `records.json`, so a reader needs no metadata service.
"""

import math
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from components.core.runtime import logs
from components.core.io.atomic_files import write_json
from components.core.runtime.progress import say
from components.core.telemetry import series
from components.core.telemetry.live import watch

RECORDS = "records.json"


class Record:
    """Collects a stage's results; writes them to the stage's metrics file when it succeeds.

    with Record(metrics, "pack", upstream=source.attachment(RECORDS), fold=fold, scheme=scheme) as record:
        record["tiles"] = 120
        record.table("classes", [{"name": "PTC", "tiles": 40}])
        archive.attach(RECORDS, record.chain())
    """

    def __init__(
        self,
        path: str | Path,
        stage: str,
        upstream: list[dict[str, Any]] | None = None,
        **known: str | float | bool,
    ) -> None:
        self._path = path
        self._upstream = list(upstream or [])
        self._values: dict[str, Any] = {"stage": stage, **known}
        self._tables: dict[str, Any] = {}

    def __enter__(self) -> "Record":
        self._start = time.monotonic()
        logs.bind(**{name: str(self._values[name]) for name in ("scheme", "fold") if name in self._values})
        watch().set(series.STARTED, time.time())
        return self

    def __setitem__(self, name: str, value: str | float | bool) -> None:
        self._values[name] = value

    def table(self, name: str, rows: Any) -> None:
        """Keeps a table (any JSON value; NaN and infinity become null) for the report."""
        self._tables[name] = _finite(rows)

    def own(self) -> dict[str, Any]:
        """This stage's record so far: its scalars, `seconds` and `tables`."""
        seconds = round(time.monotonic() - self._start, 2)
        return {**_finite(self._values), "seconds": seconds, "tables": self._tables}

    def chain(self) -> list[dict[str, Any]]:
        """Records of the stages before this one and of this one so far, oldest first."""
        return [*self._upstream, self.own()]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        own = self.own()
        write_json(self._path, {**own, "upstream": self._upstream})
        where = " · ".join(str(own[key]) for key in ("scheme", "fold") if key in own)
        say(f"{own['stage']}{' · ' + where if where else ''}: done in {own['seconds']:.1f} s", seconds=own["seconds"])


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
