"""What the tasks of a run say: their words to the terminal, everything they print to a log each, why they failed."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from components.core.runtime import logs

_SENTENCE = re.compile(r"^components\.core\.errors\.(\w+): (?P<sentence>.+)$")
_EXECUTOR_LINE = re.compile(r"\[KFP Executor .*? (INFO|WARNING|ERROR)\]: ?|^\S*executor_main\S*")
_RAISED = re.compile(r"^[\w.]+(Error|Exception|Interrupt|Exit)\b.*")
_CHAINED = ("pack", "gan_train", "fid_select", "generate", "classifier_cv")


class Streams:
    """Runs tasks as processes, or follows them where another runs them; `failure` is the first one's."""

    def __init__(self, log_folder: Path, terminal: TextIO, workers: int) -> None:
        threads = max(1, (os.cpu_count() or 1) // workers)
        self.environment = {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        self.environment |= {logs.LOG_VARIABLE: "text", logs.RUN_VARIABLE: logs.current_context()["run"]}
        self._log_folder = log_folder
        self._terminal = terminal
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._count = 0
        self.failure = ""

    def run(self, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        """Takes the place of kfp's `run_local_subprocess`."""
        environment = {**os.environ, **(env_vars or {}), **self.environment}
        with subprocess.Popen(  # noqa: S603 - kfp's own command: a list, without a shell of ours
            full_command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, env=environment
        ) as process:
            return self.follow(full_command, process.stdout or (), process.wait)

    def follow(self, full_command: list[str], lines: Iterable[str], ended: Callable[[], int], why: str = "") -> int:
        """Tells what a task says while it says it, and how it ended.

        Args:
            full_command: kfp's, which says what task it is.
            lines: What the task prints.
            ended: Waits for its end and returns its exit status.
            why: The reason, where it could not even start.

        Returns:
            The exit status.
        """
        stage, where = _task(full_command)
        with self._lock:
            self._count += 1
            log = self._log_folder / f"{self._count:02d}-{stage}{where.replace(' ', '-')}.log"
        self._say(stage, where, "started")
        reader = _Reader()
        with log.open("w", encoding="utf-8") as file:
            for line in lines:
                file.write(line)
                if reader.is_words(line):
                    self._say(stage, where, line.rstrip())
        code = ended()
        if code:
            why = why or reader.sentence or f"{reader.last or _ended(code)} (the whole log: {log})"
            with self._lock:
                self.failure = self.failure or f"stage {stage}{where} failed: {why}"
        return code

    def _say(self, stage: str, where: str, line: str) -> None:
        seconds = time.monotonic() - self._started
        with self._lock:
            if logs.is_json():
                logs.emit(line, to=self._terminal, stage=stage, where=where.strip(), seconds=round(seconds, 1))
            else:
                logs.emit(f"{seconds:7.1f} s  {stage}{where}: {line}", to=self._terminal)


def _ended(code: int) -> str:
    """What an exit status says of a task that said nothing: a shell's words for a signal, or Python's."""
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return "it was killed, most likely for its memory; give it more, or less to hold at once"
    return f"exit status {code}"


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
