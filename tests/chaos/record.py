"""What the long forms measured, a line each, in the file that THYGAN_CHAOS_LOG names; nowhere without it."""

import json
import os
from pathlib import Path


def record(kind: str, **values: object) -> None:
    """Adds a line."""
    if name := os.environ.get("THYGAN_CHAOS_LOG"):
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\n")
