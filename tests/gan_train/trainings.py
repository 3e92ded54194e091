"""The stage with flat options, in this process or in others that can be terminated and killed.

The others fork from a server that has imported everything, so that they start at once.
"""

import multiprocessing
import os
import runpy
import signal
import socket
import sys
import time
from dataclasses import fields
from pathlib import Path

from components.core.options.shared import SharedOptions
from components.gan_train.options import GanOptions
from components.gan_train.stage import run

ROOT = Path(__file__).parents[2]
OUTPUTS = {"snapshots": "snapshots", "gan_page": "page.html", "gan_record": "record.json"}
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["components.gan_train.stage", "torch._dynamo", "torch.distributed.run"])
STAGE = "components.gan_train"


def paths(folder):
    """The outputs, in a folder."""
    return {key: str(folder / name) for key, name in OUTPUTS.items()}


def arguments(*, seed=0, **flat):
    """Arguments of `run` from flat options."""
    names = {field.name for field in fields(SharedOptions)}
    shared = SharedOptions(**{name: value for name, value in flat.items() if name in names})
    options = GanOptions(**{name: value for name, value in flat.items() if name not in names})
    return {"seed": seed, "options": options, "shared": shared}


def train(dataset, folder, **flat):
    """The stage in this process."""
    run(dataset=dataset, **paths(folder), **arguments(**flat))


def words(dataset, folder, **flat):
    """The words of the stage's command."""
    values = {"dataset": dataset, **paths(folder), **flat}
    return [word for key, value in values.items() for word in (f"--{key.replace('_', '-')}", str(value))]


class Process:
    """`python -m MODULE …`."""

    def __init__(self, folder, *arguments, module=STAGE, **environment):
        folder.mkdir(parents=True, exist_ok=True)
        rank = environment.get("RANK", "0")
        self._said = [folder / f"{name}{rank}.txt" for name in ("out", "err")]
        environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environment}
        self._process = FORKS.Process(target=_run, args=(module, arguments, self._said, environment), daemon=True)
        self._process.start()

    def send(self, sign):
        """Sends a signal."""
        os.kill(self._process.pid, sign)

    def result(self):
        """Waits; exit status, and what it said on its two streams."""
        self._process.join(120)
        assert self._process.exitcode is not None, "it does not end"
        return self._process.exitcode, *(path.read_text() for path in self._said)

    def wait_for(self, base, after):
        """Waits for a checkpoint of more than so many images below `base`."""
        deadline = time.monotonic() + 120
        while self._process.is_alive() and not any(step > after for step in steps(base)):
            assert time.monotonic() < deadline, "no checkpoint appears"
            time.sleep(0.01)


class Pair:
    """Two processes that train together, as torchrun would start them."""

    def __init__(self, folder, *arguments):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        team = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        self.processes = [Process(folder, *arguments, RANK=rank, LOCAL_RANK=rank, **team) for rank in "01"]

    def kill(self):
        """Kills both."""
        for process in self.processes:
            process.send(signal.SIGKILL)

    def results(self):
        """Waits for both."""
        return [process.result() for process in self.processes]


def steps(base):
    """Images seen at each checkpoint below a folder."""
    return sorted(int(path.stem[-12:]) for path in Path(base).rglob("checkpoint-*.safetensors"))


def _run(module, arguments, said, environment):
    for number, path in enumerate(said, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(ROOT)
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")
