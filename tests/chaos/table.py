"""`docs/reliability.md` out of what the long forms recorded: python tests/chaos/table.py chaos.jsonl."""

import json
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end -->\n"


def main(log: str) -> None:
    """Replaces what is measured on the page."""
    rows = [json.loads(line) for line in Path(log).read_text(encoding="utf-8").splitlines()]
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{measured(rows)}{END}{after}", encoding="utf-8")


def measured(rows: list[dict]) -> str:
    """The tables; a fault that was tried again counts once, with its last outcome."""
    of = {
        kind: [row for row in rows if row["kind"] == kind]
        for kind in ("killed", "bucket", "disk", "memory", "two runs")
    }
    formats = {row["format"]: row for row in rows if row["kind"] == "fuzz"}
    parts = [f"\nMeasured on {_machine()}.\n"]
    if of["killed"]:
        parts.append(_killed({row["stage"]: row for row in of["killed"]}.values()))
    if others := [*of["bucket"], *of["disk"], *of["memory"], *of["two runs"]]:
        parts.append(_faults(others))
    if formats:
        parts.append(_fuzzed(formats.values()))
    return "\n".join(parts) + "\n"


def _killed(rows: Iterable[dict]) -> str:
    heads = ("stage", "takes", "moments", "killed", "ended before", "said why", "whole when killed", "outcome")
    lines = [
        (row["stage"], f"{row['seconds']:.1f} s", row["moments"], row["killed"], row["too late"], row["told"],
         row["whole"], "complete, equal")
        for row in rows
    ]  # fmt: skip
    return "## Killed\n\n" + _table(heads, lines)


def _faults(rows: Iterable[dict]) -> str:
    names = {"disk": "", "memory": "", "two runs": "two runs in one ", "bucket": "bucket: "}
    lines = []
    for row in rows:
        fault = names[row["kind"]] + row.get("fault", row.get("where", ""))
        lines.append((row.get("stage", "gan_train"), fault, 1, row["outcome"].replace("|", "/")[:220]))
    return "## Places that fail\n\n" + _table(("stage", "fault", "tries", "outcome"), dict.fromkeys(lines))


def _fuzzed(rows: Iterable[dict]) -> str:
    heads = ("format", "inputs", "refused in a sentence", "read", "crashes", "seconds")
    lines = [
        (row["format"], row["inputs"], row.get("refused", 0), row.get("read", 0), 0, f"{row['seconds']:.0f}")
        for row in rows
    ]
    return "## Damaged files\n\n" + _table(heads, lines)


def _table(heads: Iterable[str], lines: Iterable[tuple]) -> str:
    rows = [tuple(heads), ("---",) * len(tuple(heads)), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows) + "\n"


def _machine() -> str:
    models = [
        line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    main(sys.argv[1])
