"""Start of a training in a pod: in this process, in one for each of its GPUs, or on several nodes.

`python -m components.gan_train.launcher JOB`, started by torchrun, is one process of such a training. JOB is a JSON
file with the stage's arguments; for a training on several nodes it is an address in a bucket, with the data set beside
it. Such a process writes the checkpoints, and on a single machine the results.
"""

import fcntl
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.core.data.archive_reference import localize
from components.core.errors import ConfigError, ThyganError, TrainingError
from components.core.io.atomic_files import digest
from components.core.options.parse import parse, to_values
from components.core.options.shared import SharedOptions
from components.core.store import is_bucket, open_store
from components.gan_train.options import GROUP, GanOptions

TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
WORKER = "components.gan_train.launcher"
JOB, DATASET = "job.json", "dataset.zip"
_OUTPUTS = ("snapshots", "gan_page", "gan_record")


def run(
    *,
    dataset: str,
    snapshots: str,
    gan_page: str,
    gan_record: str,
    seed: int,
    options: GanOptions,
    shared: SharedOptions,
) -> None:
    """The stage's `run`, in as many processes and on as many nodes as there are for it.

    Args:
        dataset: GanDataset (zip).
        snapshots: Folder to write.
        gan_page: HTML page to write.
        gan_record: Record (JSON) to write.
        seed: Seed of everything random, at least 0.
        options: Options of the stage; `train_job` asks for several nodes.
        shared: Options that several stages share.
    """
    from components.gan_train import stage

    arguments: dict[str, Any] = {
        "dataset": dataset,
        "snapshots": snapshots,
        "gan_page": gan_page,
        "gan_record": gan_record,
        "seed": seed,
        "options": options,
        "shared": shared,
    }
    if options.train_job and not options.dry_run:
        from components.gan_train.train_job import train_on_nodes

        train_on_nodes(dataset, seed, options, shared)
        stage.run(**arguments)  # resumes at the end of the nodes' training: it only writes the results
    elif (processes := _gpu_count(shared.device)) > 1 and not options.dry_run:
        train_in_processes(processes, **arguments)
    else:
        stage.run(**arguments)


def train_in_processes(
    processes: int, *, dataset: str, options: GanOptions, shared: SharedOptions, **arguments: Any
) -> None:
    """Runs the stage by torchrun, which ends all processes when one fails; forwards SIGTERM, so that they save.

    Args:
        processes: Number of processes on this machine.
        dataset: GanDataset (zip).
        options: Options of the stage.
        shared: Options that several stages share.
        arguments: The other arguments of the stage's `run`.

    Raises:
        TrainingError: A process failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / JOB
        local = str(localize(dataset, Path(folder)))  # every process reads all of it
        job.write_text(json.dumps(encode_job(options, shared, dataset=local, **arguments)), encoding="utf-8")
        command = [*TORCHRUN, "--standalone", f"--nproc-per-node={processes}", "-m", WORKER, str(job)]
        with subprocess.Popen(command) as torchrun, _forward_sigterm(torchrun):  # noqa: S603 - our own module, no shell
            status = torchrun.wait()
    if status:
        raise TrainingError(
            f"The training's {processes} processes ended with status {status}: the message of the first one is "
            "above. With a checkpoint_uri the same command resumes."
        )


def encode_job(options: GanOptions, shared: SharedOptions, **arguments: Any) -> dict[str, Any]:
    """The JSON values of a job."""
    return {**arguments, "options": to_values(options), "shared": to_values(shared)}


def run_job(job: str) -> None:
    """Takes part in the training of a job.

    Args:
        job: JSON file of a job, or its address in a bucket.
    """
    from components.gan_train import stage

    arguments = _download_job(job) if is_bucket(job) else json.loads(Path(job).read_text(encoding="utf-8"))
    arguments["options"] = parse(GanOptions, arguments["options"], GROUP)
    arguments["shared"] = parse(SharedOptions, arguments["shared"], "shared")
    stage.run(**arguments)


def _download_job(job: str) -> dict[str, Any]:
    store = open_store(job.rpartition("/")[0])
    if (file := store.read(JOB)) is None:
        raise ConfigError(f"{job} does not exist: its task has ended, so delete the TrainJob.")
    folder = Path(tempfile.gettempdir()) / f"thygan-{digest(job)[:12]}"
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:  # of a node's processes, one downloads
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / DATASET).exists():
            store.get(DATASET, folder / DATASET)
        dataset = localize(folder / DATASET, folder)
    paths = {name: str(folder / name) for name in _OUTPUTS}
    return {**json.loads(file.data), **paths, "dataset": str(dataset)}


@contextmanager
def _forward_sigterm(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda number, frame: process.send_signal(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _gpu_count(device: str) -> int:
    import torch

    return torch.cuda.device_count() if device in ("auto", "cuda") else 0


if __name__ == "__main__":
    try:
        run_job(sys.argv[1])
    except ThyganError as error:
        sys.exit(f"error: {error}")
