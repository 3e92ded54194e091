"""The pipeline on this machine: kfp.local with readable output, reasons of failures, and a free number of workers.

kfp.local 2.17 prints every executor input, forgets which stage failed and why, and never runs more than two loop
iterations at a time. `run_locally` mends the three from outside and changes nothing that a stage can see.
"""

import contextlib
import copy
import io
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp import local
from kfp.local import subprocess_task_handler
from kfp.local.orchestrator import enhanced_dag_orchestrator

from components.core.errors import ConfigError, ThyganError
from components.core.runtime import logs
from pipelines.local.task_logs import TaskLogs

if TYPE_CHECKING:
    from pipelines.local.docker import Containers


class StageError(ThyganError):
    """A stage failed; the message is the stage's own, with the path of its whole log."""


@contextlib.contextmanager
def _patch_kfp(task_logs: TaskLogs, workers: int) -> Iterator[None]:
    """kfp.local with our process runner and number of workers, quiet; as it was afterwards."""
    parallel = enhanced_dag_orchestrator.ParallelExecutor
    stock = (subprocess_task_handler.run_local_subprocess, parallel.__init__)

    def set_workers(self: Any, max_workers: int | None = None) -> None:
        self.conservative_max = self.max_workers = workers

    subprocess_task_handler.run_local_subprocess = task_logs.run
    parallel.__init__ = set_workers
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        subprocess_task_handler.run_local_subprocess, parallel.__init__ = stock


def _without_cluster_settings(pipeline: Any) -> Any:
    """A copy of the pipeline without what holds on a cluster alone.

    A stage that fails here fails at once, and the caller gets the reason. Tiles may come from the cache: the data's
    version is part of their key.
    """
    local_pipeline = copy.deepcopy(pipeline)
    spec = local_pipeline.component_spec.implementation.graph
    for component in (spec.root, *spec.components.values()):
        for task in component.dag.tasks.values():
            task.ClearField("retry_policy")
            task.caching_options.enable_cache = True
    return local_pipeline


def run_locally(
    pipeline: Any,
    arguments: dict[str, Any],
    out: Path,
    workers: int = 2,
    *,
    caching: bool = True,
    containers: "Containers | None" = None,
) -> Any:
    """Runs a pipeline on this machine, one process or container a task, finished stages taken from the cache.

    Args:
        pipeline: A KFP pipeline.
        arguments: Its parameters.
        out: Folder for artifacts, cache and logs; nothing outside it is written.
        workers: Loop iterations at a time, at least 1.
        caching: Whether finished stages come from kfp's cache in `out`; otherwise every task starts and looks itself.
        containers: Runs each task in its image; None = in this environment.

    Returns:
        The finished run; `outputs` holds the pipeline's outputs.

    Raises:
        ConfigError: There is no worker.
        StageError: A stage failed; the message is its own.
    """
    if workers < 1:
        raise ConfigError(f"--local-workers is {workers}: give at least 1.")
    log_folder = out / "logs" / time.strftime("%Y%m%d-%H%M%S")
    log_folder.mkdir(parents=True, exist_ok=True)
    local.init(
        local.DockerRunner() if containers else local.SubprocessRunner(use_venv=False),
        pipeline_root=str(out / "artifacts"),
        enable_caching=caching,
        cache_root=str(out / "cache"),
    )
    with logs.log_context(run=os.environ.get(logs.RUN_VARIABLE) or f"local-{log_folder.name}"):
        task_logs = TaskLogs(log_folder, sys.stdout, workers)
    try:
        runner = containers.run_tasks(task_logs) if containers else contextlib.nullcontext()
        with runner, _patch_kfp(task_logs, workers):
            return _without_cluster_settings(pipeline)(**arguments)
    except RuntimeError as error:
        raise StageError(task_logs.failure or str(error)) from None
