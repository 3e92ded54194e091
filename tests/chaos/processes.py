"""Stages as processes that fork from a server which has imported everything: a start costs what is then done."""

import importlib
import multiprocessing
import os
import resource
import runpy
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAGES = (
    "tile", "split", "pack", "gan_train", "fid_select", "generate", "classifier_cv", "external_eval", "umap", "report",
)  # fmt: skip
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        *(f"components.{name}.stage" for name in STAGES),
        "torch._dynamo",
        "umap",
        "torchvision",
        "minio",
        "sklearn.manifold",
    ]
)
LONGEST_S = 900  # umap compiles itself first, which takes minutes on a busy machine


class Process:
    """`python -m components.STAGE …`, or a file of Python in its place; what it says lies in `folder`."""

    def __init__(self, folder: Path, stage: str, words: list[str], *, room_bytes: int = 0, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._said = [folder / name for name in ("out.txt", "err.txt")]
        self._process = FORKS.Process(
            target=_run, args=(stage, words, self._said, room_bytes, environment), daemon=True
        )
        self._process.start()
        self.began = time.monotonic()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def send_after(self, sign: int, seconds: float) -> bool:
        """Sends a signal so long after the start; whether it still ran."""
        self._process.join(max(0.0, self.began + seconds - time.monotonic()))
        if not self._process.is_alive():
            return False
        os.kill(self._process.pid, sign)
        return True

    def result(self) -> tuple[int, str, str]:
        """Waits; exit status, and what it said on its two streams."""
        self._process.join(LONGEST_S)
        if self._process.exitcode is None:
            self._process.kill()
            raise AssertionError(f"it does not end: {self._said[1].read_text()[-2000:]}")
        return self._process.exitcode, *(path.read_text() if path.exists() else "" for path in self._said)


def _run(stage: str, words: list[str], said: list[Path], room_bytes: int, environment: dict[str, str]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for number, path in enumerate(said, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(ROOT)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update({"OMP_NUM_THREADS": "1", **environment})
    tempfile.tempdir = None  # that of the environment, not the server's
    if room_bytes:
        for name in (f"components.{stage}.stage", "components.core.runtime.cli"):  # the server may not have loaded them
            importlib.import_module(name)
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + room_bytes, resource.RLIM_INFINITY))
    sys.argv = [f"components.{stage}", *words]
    if stage.endswith(".py"):
        runpy.run_path(stage, run_name="__main__")
    else:
        runpy.run_module(f"components.{stage}", run_name="__main__", alter_sys=False)


def run_to_end(folder: Path, stage: str, words: list[str], **environment: str) -> float:
    """Runs a stage that must succeed; returns its seconds."""
    process = Process(folder, stage, words, **environment)
    code, _, complained = process.result()
    assert code == 0, f"{stage} ends with {code}: {complained[-3000:]}"
    return time.monotonic() - process.began


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
