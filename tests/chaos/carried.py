"""What is brought from a bucket beside a stage's own work, in a process of its own, as stages are: a network's weights,
or the kept result of a task, which is kept first."""

import shutil
import sys
from pathlib import Path

from components.core.cache.result_cache import CachedResult, ResultCache, describe_artifact
from components.core.features.registry import Weights
from components.core.features.weights import locate
from components.core.io.atomic_files import atomic_write, file_sha256
from components.core.runtime.cli import execute, new_app

FILE = "weights.pth"
_TASK = "pipeline/run/task/0"


def main(*, what: str, source: Path, uri: str, made: Path) -> None:
    """Brings `made`, which is what `source` is."""
    if what == "weights":
        wanted = Weights("a test's", FILE, file_sha256(source), source.stat().st_size, "CC0-1.0", "a test")
        with atomic_write(made) as beside:
            shutil.copyfile(locate(wanted, uri), beside)
        return
    keeper = ResultCache(uri)
    artifacts = {"made": describe_artifact(source, "system.Dataset", f"{uri}/{_TASK}/made", {})}
    result = CachedResult("pack", "pipeline/run", _TASK, "key", "tag", "", {}, {}, artifacts)
    keeper.keep(result, {"made": source}, upload=True)
    keeper.fetch(keeper.find("pack", "key") or result, {"made": made})


if __name__ == "__main__":
    app = new_app("carried")
    app.default(main)
    execute(app, sys.argv[1:])
