"""The pipeline on this machine: kfp.local with its output made readable, its failures told, its width free.

kfp.local 2.17 prints every executor input, forgets which stage failed and why, and never runs more than two loop
iterations at a time. `run_here` mends the three from outside and changes nothing that a stage can see.
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
from pipelines.local.task_logs import Streams

if TYPE_CHECKING:
    from pipelines.local.docker import Containers


class StageError(ThyganError):
    """A stage failed; the message is the stage's own, with where its whole log lies."""


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


def run_here(
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
        workers: Loop iterations at a time.
        caching: Take finished stages from kfp's cache in `out`; otherwise every task starts and looks for itself.
        containers: Run each task in its image; None = in this environment.

    Returns:
        The finished run; `outputs` holds the pipeline's outputs.

    Raises:
        StageError: With the failing stage's own sentence.
    """
    if workers < 1:
        raise ConfigError(f"--local-workers is {workers}: at least one is needed.")
    log_folder = out / "logs" / time.strftime("%Y%m%d-%H%M%S")
    log_folder.mkdir(parents=True, exist_ok=True)
    local.init(
        local.DockerRunner() if containers else local.SubprocessRunner(use_venv=False),
        pipeline_root=str(out / "artifacts"),
        enable_caching=caching,
        cache_root=str(out / "cache"),
    )
    with logs.log_context(run=os.environ.get(logs.RUN_VARIABLE) or f"local-{log_folder.name}"):
        streams = Streams(log_folder, sys.stdout, workers)
    try:
        with containers.running(streams) if containers else contextlib.nullcontext(), _kfp_with(streams, workers):
            return _for_here(pipeline)(**arguments)
    except RuntimeError as error:
        raise StageError(streams.failure or str(error)) from None
