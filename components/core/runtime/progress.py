"""Progress of a loop: a bar on a terminal, log lines elsewhere; and the log line itself."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TypeVar

from tqdm import tqdm

from components.core.runtime import logs

T = TypeVar("T")

LINE_SECONDS = 10.0


def log(text: str, level: str = "info", **fields: Any) -> None:
    """Writes one line at once, to standard output.

    Args:
        text: One sentence for a person.
        level: "info", "warning" for what somebody should look at, or "error"; JSON lines carry it.
        fields: Values for a log collector; JSON lines carry them.
    """
    logs.emit(text, level, **fields)


def shows_bars() -> bool:
    """Whether standard error is a terminal and lines are text."""
    return sys.stderr.isatty() and not logs.is_json()


def track(items: Iterable[T], what: str, total: int | None = None, unit: str = "") -> Iterator[T]:
    """Yields `items` and shows the progress.

    Args:
        items: The items to yield.
        what: A short name of the work, for example "fold 0 · none: training".
        total: Number of items; None = `len(items)` where there is one.
        unit: Name of the items, for example "tiles".
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if shows_bars():
        yield from tqdm(items, desc=what, total=total, unit=f" {unit}", dynamic_ncols=True)
        return
    started = shown = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - shown >= LINE_SECONDS:
            shown = now
            of = f"/{total} ({100 * done // total} %)" if total else ""
            left = f", about {(now - started) / done * (total - done):.0f} s left" if total else ""
            log(f"{what}: {done}{of} {unit}{left}", done=done, total=total, unit=unit)
    seconds = time.monotonic() - started
    log(f"{what}: {done} {unit} in {seconds:.1f} s", done=done, total=total, unit=unit, seconds=round(seconds, 1))
