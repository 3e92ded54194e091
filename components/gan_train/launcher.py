"""How a training starts in a pod: in this process, in one for each of its GPUs, or on several nodes."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.core.data.archive_reference import localize
from components.core.errors import TrainingError

TEAM = (sys.executable, "-m", "torch.distributed.run")
MEMBER = "components.gan_train.worker"


def run(*, train_job: Mapping[str, str], **options: Any) -> None:
    """The stage's `run`, with the processes and nodes that are there for it.

    Args:
        train_job: Nodes of a TrainJob, as `node_job.py` reads them; empty = this pod.
        options: The stage's.
    """
    from components.gan_train import stage

    if train_job and not options["dry_run"]:
        from components.gan_train.train_job import train_on_nodes

        train_on_nodes(train_job, options)
        stage.run(**options)  # goes on from the end of the nodes' training: all that is left is to write it down
    elif (processes := _gpus(options["device"])) > 1 and not options["dry_run"]:
        train_in_processes(processes, options)
    else:
        stage.run(**options)


def train_in_processes(processes: int, options: Mapping[str, Any]) -> None:
    """Runs the stage by torchrun, which ends all processes when one fails; SIGTERM is handed on, so that they save.

    Args:
        processes: How many, on this machine.
        options: The stage's.

    Raises:
        TrainingError: They failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        dataset = str(localize(options["dataset"], Path(folder)))  # all of them read all of it
        job.write_text(json.dumps({**options, "dataset": dataset}), encoding="utf-8")
        command = [*TEAM, "--standalone", f"--nproc-per-node={processes}", "-m", MEMBER, str(job)]
        with subprocess.Popen(command) as team, _handing_on(team):  # noqa: S603 - our own module, no shell
            status = team.wait()
    if status:
        raise TrainingError(
            f"The training's {processes} processes ended with status {status}: what the first of them said stands "
            "above; with a checkpoint_uri the same command goes on."
        )


@contextmanager
def _handing_on(team: "subprocess.Popen[bytes]") -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda number, frame: team.send_signal(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _gpus(device: str) -> int:
    import torch

    return torch.cuda.device_count() if device in ("auto", "cuda") else 0
