"""Generator of docs/metrics.md: python -m components.core.telemetry.table docs/metrics.md"""

import sys
from pathlib import Path

from components.core.io.atomic_files import write_text
from components.core.telemetry.series import COMMON, GROUPED, SERIES, Series

_HEAD = """# Metrics

Generated from `components/core/telemetry/series.py`: `python -m components.core.telemetry.table docs/metrics.md`.

Stages that run for long serve these series at `/metrics`: in a pod on port 9400, elsewhere on the port in
`THYGAN_METRICS_PORT` (0 = none; if it is in use, the next free port). All have the labels {common}.

{served}

At its end every stage, and the run, pushes these series to the Pushgateway of `THYGAN_PUSHGATEWAY`, grouped by
{grouped}; a failure keeps the time of the last success. `usage` is the hourly job that measures the buckets.

{pushed}
"""


def table() -> str:
    """The page as Markdown."""
    served = [one for one in SERIES if not one.is_pushed]
    pushed = [one for one in SERIES if one.is_pushed]
    return _HEAD.format(common=_code(COMMON), grouped=_code(GROUPED), served=_rows(served), pushed=_rows(pushed))


def _rows(series: list[Series]) -> str:
    rows = [
        f"| `{one.name}` | {one.kind} | {one.unit} | {_code(one.labels)} | {', '.join(one.stages)} | {one.help} |"
        for one in series
    ]
    return "\n".join(["| series | kind | unit | further labels | written by | meaning |", "|" + " --- |" * 6, *rows])


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), table())
