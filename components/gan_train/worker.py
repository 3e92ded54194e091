"""One process of a training: python -m components.gan_train.worker JOB, started by torchrun.

JOB is a JSON file with the stage's options; for a training on several nodes its address in a bucket, with the data set
beside it. What such a process writes is the checkpoint, and nothing else.
"""

import fcntl
import json
import sys
import tempfile
from pathlib import Path

from components.core.data.archive_reference import localize
from components.core.errors import ConfigError, ThyganError
from components.core.io.atomic_files import digest
from components.core.store import is_bucket, open_store
from components.gan_train.stage import run

JOB, DATASET = "job.json", "dataset.zip"


def main(job: str) -> None:
    """Takes part in the training of this job."""
    if not is_bucket(job):
        run(**json.loads(Path(job).read_text(encoding="utf-8")))
        return
    store = open_store(job.rpartition("/")[0])
    if (note := store.read(JOB)) is None:
        raise ConfigError(f"{job} is not there: the TrainJob outlived the task that made it, so delete it.")
    folder = Path(tempfile.gettempdir()) / f"thygan-{digest(job)[:12]}"
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:  # of a node's processes one fetches
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / DATASET).exists():
            store.get(DATASET, folder / DATASET)
        dataset = localize(folder / DATASET, folder)
    places = {name: str(folder / name) for name in ("snapshots", "page", "metrics")}
    run(**{**json.loads(note.data), **places, "dataset": str(dataset)})


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except ThyganError as error:
        sys.exit(f"error: {error}")
