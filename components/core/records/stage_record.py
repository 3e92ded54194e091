"""The record file of a stage: its results, its duration, and the records of the stages before it.

The file has scalars at its top and lists and mappings under `tables`. Every artifact holds the records of its whole
chain as `records.json`, so that a reader needs no metadata service.
"""

import dataclasses
import math
import time
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from components.core.errors import DataError
from components.core.io.atomic_files import write_json
from components.core.runtime import logs
from components.core.runtime.progress import log
from components.core.telemetry import live, series

T = TypeVar("T")


class StageRecord:
    """Collects the results of a stage and writes its record file when the block succeeds.

    with StageRecord(pack_record, "pack", upstream=source.attachment(RECORDS), fold=fold, scheme=scheme) as record:
        record.set(PackRecord(tiles=120, classes=[ClassRow("PTC", 40)]))
        archive.attach(RECORDS, record.chain())
    """

    def __init__(
        self,
        path: str | Path,
        stage: str,
        upstream: list[dict[str, Any]] | None = None,
        **identity: str | float | bool,
    ) -> None:
        """Sets the identity of the record.

        Args:
            path: File to write.
            stage: Name of the stage.
            upstream: Records of the stages before it, oldest first.
            identity: Values that identify the task within its stage: fold, scheme.
        """
        self._path = path
        self._upstream = list(upstream or [])
        self._values: dict[str, Any] = {"stage": stage, **identity}
        self._tables: dict[str, Any] = {}

    def __enter__(self) -> "StageRecord":
        self._start = time.monotonic()
        logs.set_context(**{name: str(self._values[name]) for name in ("scheme", "fold") if name in self._values})
        live.stage_metrics().set(series.STARTED, time.time())
        return self

    def set(self, results: Any) -> None:
        """Adds the results of the stage: lists and mappings as tables, other fields as scalars, None not at all.

        Args:
            results: A frozen dataclass of `components.core.records`; a field whose name in the file is a word of
                Python states that name in its metadata as `key`.
        """
        for field in dataclasses.fields(results):
            value = getattr(results, field.name)
            if value is None:
                continue
            plain = _to_json(value)
            if isinstance(plain, dict | list):
                self._tables[_key(field)] = plain
            else:
                self._values[_key(field)] = plain

    def __setitem__(self, name: str, value: str | float | bool) -> None:
        self._values[name] = value

    def to_dict(self) -> dict[str, Any]:
        """This stage's record so far: its scalars, `seconds` and `tables`."""
        seconds = round(time.monotonic() - self._start, 2)
        return {**_to_json(self._values), "seconds": seconds, "tables": self._tables}

    def chain(self) -> list[dict[str, Any]]:
        """Records of the stages before this one and of this one so far, oldest first."""
        return [*self._upstream, self.to_dict()]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        record = self.to_dict()
        write_json(self._path, {**record, "upstream": self._upstream})
        where = " · ".join(str(record[key]) for key in ("scheme", "fold") if key in record)
        title = f"{record['stage']}{' · ' + where if where else ''}"
        log(f"{title}: done in {record['seconds']:.1f} s", seconds=record["seconds"])


def read_record(kind: type[T], raw: Mapping[str, Any]) -> T:
    """The typed results in a record.

    Args:
        kind: A frozen dataclass of `components.core.records`.
        raw: The record as JSON values; unknown names are ignored.

    Raises:
        DataError: A field without a default is missing, or a value has another type.
    """
    stage = str(raw.get("stage", "a stage"))
    # a table may have the name of a scalar, which says the same in short
    return _from_json(kind, {**raw, **raw.get("tables", {})}, f"The record of {stage}")


def find_record(kind: type[T], stage: str, chain: Iterable[Mapping[str, Any]]) -> T | None:
    """The newest record of a stage in a chain; None = the chain has no record of it."""
    records = [raw for raw in chain if raw.get("stage") == stage]
    return read_record(kind, records[-1]) if records else None


def _from_json(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    hints = get_type_hints(kind)
    arguments = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        key = _key(field)
        if key in values:
            arguments[field.name] = _convert(values[key], hints[field.name], f"{where}: {key}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise DataError(f"{where} lacks {key!r}: run the stage that writes it again.")
    return kind(**arguments)


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        if value is None and type(None) in inner:
            return None
        return _convert(value, next(option for option in inner if option is not type(None)), where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, Mapping):
            return _from_json(hint, value, where)
    elif origin in (list, tuple):
        if isinstance(value, list):
            rows = [_convert(item, inner[0], where) for item in value]
            return rows if origin is list else tuple(rows)
    elif origin is dict:
        if isinstance(value, Mapping):
            return {key: _convert(item, inner[1], where) for key, item in value.items()}
    elif hint is float and value is None:  # NaN and infinity are null in JSON
        return math.nan
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif hint is Any or type(value) is hint:
        return value
    raise DataError(f"{where} has another type: run the stage that writes it again.")


def _key(field: dataclasses.Field[Any]) -> str:
    """The name of a dataclass's field in the file."""
    return str(field.metadata.get("key", field.name))


def _to_json(value: Any) -> Any:
    """Plain JSON values; NaN and infinity become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {_key(field): _to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
