"""A task that prints nothing when it ends still has a reason that people can act on."""

import io
import sys

import pytest

from components.core.runtime import logs
from pipelines.local.task_logs import TaskLogs


@pytest.mark.parametrize(
    ("program", "code", "why"),
    [
        ("import os; os.kill(os.getpid(), 9)", -9, "it was killed, most likely for its memory; give it more"),
        ("import sys; sys.exit(137)", 137, "it was killed, most likely for its memory; give it more"),
        ("import sys; sys.exit(3)", 3, "exit status 3"),
        ("raise ValueError('x')", 1, "ValueError: x"),
    ],
)
def test_why_a_task_failed(program, code, why, monkeypatch, tmp_path):
    monkeypatch.setenv(logs.RUN_VARIABLE, "a-run")
    task_logs = TaskLogs(tmp_path, io.StringIO(), workers=1)
    command = [sys.executable, "-c", program, "--function_to_execute", "umap", "--executor_input", "{}"]
    assert task_logs.run(command) == code
    assert task_logs.failure.startswith(f"stage umap failed: {why}")
    assert "the whole log: " in task_logs.failure
