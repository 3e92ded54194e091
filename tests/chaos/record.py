"""What was tried and what became of it, a line a try, in the file that THYGAN_CHAOS_LOG names; nowhere without it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_SHOWN_CHARACTERS = 300


@contextmanager
def tried(kind: str, **known: Any) -> Iterator[dict[str, Any]]:
    """Yields the line, to be filled; it is written at the block's end, and says `passed`: false where that fails."""
    row: dict[str, Any] = {"kind": kind, "tries": 1, **known}
    try:
        yield row
    except pytest.skip.Exception:
        raise
    except BaseException as error:
        text = " ".join(str(error).split()) or type(error).__name__
        shown = text[-_SHOWN_CHARACTERS:] if "Traceback" in text else text[:_SHOWN_CHARACTERS]
        _write({**row, "passed": row.get("passed", 0), "failure": shown})
        raise
    _write({"passed": row["tries"], **row})


def _write(row: dict[str, Any]) -> None:
    if name := os.environ.get("THYGAN_CHAOS_LOG"):
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
