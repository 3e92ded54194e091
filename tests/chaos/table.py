"""`docs/reliability.md` out of what the long forms recorded: python tests/chaos/table.py chaos.jsonl.

Every line of the log counts, those of tries that failed, too.
"""

import json
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end -->\n"
_PLACES = ("clock", "disk", "memory", "two runs", "study")
_LONGEST = 240  # characters of an outcome


def main(log: str) -> None:
    """Replaces what is measured on the page."""
    rows = [json.loads(line) for line in Path(log).read_text(encoding="utf-8").splitlines()]
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{measured(rows)}{END}{after}", encoding="utf-8")


def measured(rows: list[dict]) -> str:
    """The tables."""
    parts = [f"\nMeasured on {_machine()}.\n"]
    if killed := [row for row in rows if row["kind"] == "killed"]:
        parts.append(_killed(killed))
    if buckets := [row for row in rows if row["kind"] == "bucket"]:
        parts.append(_buckets(buckets))
    if places := [row for row in rows if row["kind"] in _PLACES]:
        parts.append(_faults(sorted(places, key=lambda row: _PLACES.index(row["kind"]))))
    if fuzzed := [row for row in rows if row["kind"] == "fuzz"]:
        parts.append(_fuzzed(fuzzed))
    return "\n".join(parts) + "\n"


def _killed(rows: list[dict]) -> str:
    heads = ("stage", "takes", "tries", "killed", "ended before", "said why", "whole when killed", "passed", "outcome")
    lines = []
    for stage, of in _grouped(rows, "stage"):
        counts = [_total(of, name) for name in ("tries", "killed", "too late", "told", "whole", "passed")]
        lines.append((stage, f"{of[-1]['seconds']:.1f} s", *counts, _outcome(of)))
    return "## Killed\n\n" + _table(heads, lines)


def _buckets(rows: list[dict]) -> str:
    """A row a stage, a column a fault, and an example of what is told where a stage cannot go on."""
    faults = [fault for fault, _ in _grouped(rows, "fault")]
    names = [fault.removeprefix("bucket: ") for fault in faults]
    lines, found = [], dict(_grouped(rows, "stage", "fault"))
    for stage, _ in _grouped(rows, "stage"):
        lines.append((stage, *(_became(found.get((stage, fault), [])) for fault in faults)))
    examples = [
        f"- {name}: {_shown(told)}" for name, fault in zip(names, faults, strict=True) if (told := _told(rows, fault))
    ]
    heading = "## Buckets that fail\n\nequal: complete, and equal; told: ended in one sentence, no partial output.\n\n"
    return heading + _table(("stage", *names), lines) + "\nTold, for example:\n\n" + "\n".join(examples) + "\n"


def _became(rows: list[dict]) -> str:
    if any("failure" in row for row in rows):
        return "**FAILED**"
    return ", ".join(sorted({"told" if "outcome" in row else "equal" for row in rows}))


def _told(rows: list[dict], fault: str) -> str:
    return next((row["outcome"] for row in rows if row["fault"] == fault and "outcome" in row), "")


def _faults(rows: list[dict]) -> str:
    lines = [
        (stage, fault, _total(of, "tries"), _total(of, "passed"), _outcome(of))
        for (stage, fault), of in _grouped(rows, "stage", "fault")
    ]
    return "## Places that fail\n\n" + _table(("stage", "fault", "tries", "passed", "outcome"), lines)


def _fuzzed(rows: list[dict]) -> str:
    heads = ("format", "inputs", "refused in a sentence", "read", "failed", "seconds")
    lines = [
        (name, *(_total(of, one) for one in ("tries", "refused", "read")), sum("failure" in row for row in of),
         f"{of[-1]['seconds']:.0f}")
        for name, of in _grouped(rows, "format")
    ]  # fmt: skip
    return "## Damaged files\n\n" + _table(heads, lines)


def _grouped(rows: list[dict], *keys: str) -> list[tuple]:
    """The rows by the values of their keys, in the order in which those were first tried."""
    found: dict = {}
    for row in rows:
        values = tuple(row[key] for key in keys)
        found.setdefault(values[0] if len(keys) == 1 else values, []).append(row)
    return list(found.items())


def _total(rows: list[dict], name: str) -> int:
    return sum(row.get(name, 0) for row in rows)


def _outcome(rows: list[dict]) -> str:
    """How the tries ended; the failures where there are some."""
    failures = [f"FAILED: {row['failure']}" for row in rows if "failure" in row]
    told = dict.fromkeys(failures or [row.get("outcome", "complete, equal") for row in rows])
    return " · ".join(map(_shown, told))


def _shown(text: str) -> str:
    """In a table's cell."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
    return short.replace("|", "/").replace("<", "&lt;").replace("\n", " ")


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
