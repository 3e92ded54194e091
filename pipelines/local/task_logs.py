"""The output of a run's tasks: messages on the terminal, a log each of all they print, the reason of a failure."""

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

_ERROR_SENTENCE = re.compile(r"^components\.core\.errors\.(\w+): (?P<sentence>.+)$")
_EXECUTOR_LINE = re.compile(r"\[KFP Executor .*? (INFO|WARNING|ERROR)\]: ?|^\S*executor_main\S*")
_EXCEPTION = re.compile(r"^[\w.]+(Error|Exception|Interrupt|Exit)\b.*")
_FOLD_STAGES = ("pack", "gan_train", "fid_select", "generate", "classifier_cv")


class TaskLogs:
    """Runs tasks as processes, or follows them where another runs them; `failure` is the first one's sentence."""

    def __init__(self, log_folder: Path, terminal: TextIO, workers: int) -> None:
        """Opens the logs of a run.

        Args:
            log_folder: Existing folder for one file a task.
            terminal: Stream for the tasks' messages.
            workers: Tasks at a time, which share the CPU's cores.
        """
        threads = max(1, (os.cpu_count() or 1) // workers)
        self.environment = {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        self.environment |= {logs.LOG_VARIABLE: "text", logs.RUN_VARIABLE: logs.current_context().get("run", "")}
        self._log_folder = log_folder
        self._terminal = terminal
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._count = 0
        self.failure = ""

    def run(self, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        """Runs a task as a process, in the place of kfp's `run_local_subprocess`; returns its exit status."""
        environment = {**os.environ, **(env_vars or {}), **self.environment}
        with subprocess.Popen(  # noqa: S603 - kfp's own command: a list, without a shell of ours
            full_command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, env=environment
        ) as process:
            return self.follow(full_command, process.stdout or (), process.wait)

    def follow(self, full_command: list[str], lines: Iterable[str], wait: Callable[[], int], reason: str = "") -> int:
        """Logs what a task prints while it prints it, and how it ended.

        Args:
            full_command: kfp's command, which names the task.
            lines: What the task prints.
            wait: Waits for the task's end and returns its exit status.
            reason: The reason of a failure, where the task could not even start.

        Returns:
            The exit status.
        """
        stage, label = _describe_task(full_command)
        with self._lock:
            self._count += 1
            path = self._log_folder / f"{self._count:02d}-{stage}{label.replace(' ', '-')}.log"
        self._log(stage, label, "started")
        parser = _OutputParser()
        with path.open("w", encoding="utf-8") as file:
            for line in lines:
                file.write(line)
                if parser.is_message(line):
                    self._log(stage, label, line.rstrip())
        status = wait()
        if status:
            reason = reason or parser.sentence or f"{parser.exception or _exit_reason(status)} (the whole log: {path})"
            with self._lock:
                self.failure = self.failure or f"stage {stage}{label} failed: {reason}"
        return status

    def _log(self, stage: str, label: str, line: str) -> None:
        seconds = time.monotonic() - self._start
        with self._lock:
            if logs.is_json():
                logs.emit(line, to=self._terminal, stage=stage, where=label.strip(), seconds=round(seconds, 1))
            else:
                logs.emit(f"{seconds:7.1f} s  {stage}{label}: {line}", to=self._terminal)


def _exit_reason(status: int) -> str:
    """The meaning of an exit status of a task that gave no reason: a shell's number for a signal, or Python's."""
    if status in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return "it was killed, most likely for its memory; give it more, or less to hold at once"
    return f"exit status {status}"


class _OutputParser:
    """Tells a stage's messages from the executor's noise, and keeps the sentence with which it failed."""

    def __init__(self) -> None:
        self.sentence = self.exception = ""
        self._in_traceback = False

    def is_message(self, line: str) -> bool:
        text = line.rstrip("\n")
        if match := _ERROR_SENTENCE.match(text):
            self.sentence = match["sentence"]
        if _EXCEPTION.match(text):
            self.exception = text
        if _EXECUTOR_LINE.search(text):
            return False
        if text in ("{", "}"):
            return False
        if text.startswith("Traceback (most recent call last)"):
            self._in_traceback = True
        return bool(text.strip()) and not self._in_traceback and "Warning: " not in text and not text.startswith("  ")


def _describe_task(full_command: list[str]) -> tuple[str, str]:
    """The stage and a label that distinguishes its tasks, " fold 0 binary", from kfp's command line.

    Fold and scheme are the task's parameters, or else in the metadata of an artifact that it reads.
    """
    stage = full_command[full_command.index("--function_to_execute") + 1]
    executor_input = json.loads(full_command[full_command.index("--executor_input") + 1])
    inputs = executor_input.get("inputs", {})
    values = dict(inputs.get("parameterValues", {}))
    for artifact in inputs.get("artifacts", {}).values():
        values = {**artifact["artifacts"][0].get("metadata", {}), **values}
    if values.get("blind"):
        return stage, " external"
    is_of_fold = stage in _FOLD_STAGES and "fold" in values and "scheme" in values
    return stage, f" fold {values['fold']} {values['scheme']}" if is_of_fold else ""
