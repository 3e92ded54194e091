"""The pipeline on this machine: kfp.local with its output made readable, its failures told, its width free.

kfp.local 2.17 prints every executor input, forgets which stage failed and why, and never runs more than two loop
iterations at a time. `run_here` mends the three from outside and changes nothing that a stage can see.
"""

import contextlib
import copy
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from kfp import local
from kfp.local import subprocess_task_handler
from kfp.local.orchestrator import enhanced_dag_orchestrator

from components.core import events
from components.core.errors import ConfigError, ThyganError

_SENTENCE = re.compile(r"^components\.core\.errors\.(\w+): (?P<sentence>.+)$")
_EXECUTOR_LINE = re.compile(r"\[KFP Executor .*? (INFO|WARNING|ERROR)\]: ?|^\S*executor_main\S*")
_RAISED = re.compile(r"^[\w.]+(Error|Exception|Interrupt|Exit)\b.*")


_CHAINED = ("pack", "gan_train", "fid_select", "generate", "classifier_cv")


class StageError(ThyganError):
    """A stage failed; the message is the stage's own, with where its whole log lies."""


class Streams:
    """Runs the stages' processes: their words to the terminal, everything they print to a log each."""

    def __init__(self, logs: Path, terminal: TextIO, workers: int) -> None:
        threads = max(1, (os.cpu_count() or 1) // workers)
        self._environment = {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        self._environment |= {events.LOG_VARIABLE: "text", events.RUN_VARIABLE: events.context()["run"]}
        self._logs = logs
        self._terminal = terminal
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._count = 0
        self.failure = ""

    def run(self, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        """Takes the place of kfp's `run_local_subprocess`."""
        stage, where = _task(full_command)
        with self._lock:
            self._count += 1
            log = self._logs / f"{self._count:02d}-{stage}{where.replace(' ', '-')}.log"
        self._say(stage, where, "started")
        environment = {**os.environ, **(env_vars or {}), **self._environment}
        with (
            log.open("w", encoding="utf-8") as file,
            subprocess.Popen(  # noqa: S603 - kfp's own command: a list, without a shell of ours
                full_command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, env=environment
            ) as process,
        ):
            reader = _Reader()
            for line in process.stdout or ():
                file.write(line)
                if reader.is_words(line):
                    self._say(stage, where, line.rstrip())
            code = process.wait()
        if code:
            why = reader.sentence or f"{reader.last or f'exit status {code}'} (the whole log: {log})"
            with self._lock:
                self.failure = self.failure or f"stage {stage}{where} failed: {why}"
        return code

    def _say(self, stage: str, where: str, line: str) -> None:
        seconds = time.monotonic() - self._started
        with self._lock:
            if events.is_json():
                events.write(line, to=self._terminal, stage=stage, where=where.strip(), seconds=round(seconds, 1))
            else:
                events.write(f"{seconds:7.1f} s  {stage}{where}: {line}", to=self._terminal)


class _Reader:
    """Tells a stage's own words from the executor's noise, and keeps the sentence with which it failed."""

    def __init__(self) -> None:
        self.sentence = self.last = ""
        self._traceback = False

    def is_words(self, line: str) -> bool:
        text = line.rstrip("\n")
        if found := _SENTENCE.match(text):
            self.sentence = found["sentence"]
        if _RAISED.match(text):
            self.last = text
        if _EXECUTOR_LINE.search(text):
            return False
        if text in ("{", "}"):
            return False
        if text.startswith("Traceback (most recent call last)"):
            self._traceback = True
        return bool(text.strip()) and not self._traceback and "Warning: " not in text and not text.startswith("  ")


def _task(full_command: list[str]) -> tuple[str, str]:
    """The stage and its place, " fold 0 binary", from kfp's command line."""
    stage = full_command[full_command.index("--function_to_execute") + 1]
    given = json.loads(full_command[full_command.index("--executor_input") + 1])
    inputs = given.get("inputs", {})
    values = dict(inputs.get("parameterValues", {}))
    for artifact in inputs.get("artifacts", {}).values():
        values = {**artifact["artifacts"][0].get("metadata", {}), **values}
    if values.get("blind"):
        return stage, " external"
    return stage, f" fold {values['fold']} {values['scheme']}" if stage in _CHAINED else ""


@contextlib.contextmanager
def _kfp_with(streams: Streams, workers: int) -> Iterator[None]:
    """kfp.local with our process runner and loop width, quiet, and put back afterwards."""
    parallel = enhanced_dag_orchestrator.ParallelExecutor
    stock = (subprocess_task_handler.run_local_subprocess, parallel.__init__)

    def widened(self: Any, max_workers: int | None = None) -> None:
        self.conservative_max = self.max_workers = workers

    subprocess_task_handler.run_local_subprocess = streams.run
    parallel.__init__ = widened
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        subprocess_task_handler.run_local_subprocess, parallel.__init__ = stock


def _for_here(pipeline: Any) -> Any:
    """The pipeline without what holds on a cluster alone.

    A stage that fails here fails at once, and whoever started it reads why. Tiles may come from the cache: the data's
    version is part of their key.
    """
    own = copy.deepcopy(pipeline)
    spec = own.component_spec.implementation.graph
    for component in (spec.root, *spec.components.values()):
        for task in component.dag.tasks.values():
            task.ClearField("retry_policy")
            task.caching_options.enable_cache = True
    return own


def run_here(pipeline: Any, arguments: dict[str, Any], out: Path, workers: int = 2, *, caching: bool = True) -> Any:
    """Runs a pipeline in this environment, one process a task, finished stages taken from the cache.

    Args:
        pipeline: A KFP pipeline.
        arguments: Its parameters.
        out: Folder for artifacts, cache and logs; nothing outside it is written.
        workers: Loop iterations at a time.
        caching: Take finished stages from kfp's cache in `out`; otherwise every task starts and looks for itself.

    Returns:
        The finished run; `outputs` holds the pipeline's outputs.

    Raises:
        StageError: With the failing stage's own sentence.
    """
    if workers < 1:
        raise ConfigError(f"--local-workers is {workers}: at least one is needed.")
    logs = out / "logs" / time.strftime("%Y%m%d-%H%M%S")
    logs.mkdir(parents=True, exist_ok=True)
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=str(out / "artifacts"),
        enable_caching=caching,
        cache_root=str(out / "cache"),
    )
    with events.bound(run=os.environ.get(events.RUN_VARIABLE) or f"local-{logs.name}"):
        streams = Streams(logs, sys.stdout, workers)
    try:
        with _kfp_with(streams, workers):
            return _for_here(pipeline)(**arguments)
    except RuntimeError as error:
        raise StageError(streams.failure or str(error)) from None
