"""`thygan run`: the study on this machine."""

import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from components.core.runtime.logs import RUN_VARIABLE
from components.core.runtime.progress import log
from components.core.store import is_bucket, local_folder, open_store
from pipelines.cli.study_command import study_command
from pipelines.cli.study_values import StudyValues, resolve_study
from pipelines.study.parameters import POOLS

REPORT = "report.html"
_FILES = {
    "report": REPORT,
    "verdict": "report.md",
    "numbers": "metrics.json",
    "data_card": "data-card.html",
    "external_data_card": "external-data-card.html",
    "external_predictions": "external-predictions.csv",
}


@study_command(hidden={*POOLS, "gan.train_job"})
def run(
    profile: str = "",
    out: Path = Path("runs/study"),
    local_workers: int = 2,
    store: str = "",
    dry_run: bool = False,
    max_gpu_hours: float = 0.0,
    runner: Literal["subprocess", "docker"] = "subprocess",
    network: str = "none",
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    *,
    stated: Mapping[str, Any],
) -> None:
    """Runs the whole study on this machine and prints the path of the report.

    The same command resumes an interrupted run: finished stages come from the cache in --out.

    Args:
        profile: Name of a profile, or a YAML file of option groups; options stated here override it.
        out: Folder for the report, artifacts, cache, logs and the study key.
        local_workers: Number of folds that run at the same time.
        store: s3://bucket/prefix or a folder that keeps every artifact of every run, found again by its content: on
            another machine, too, with the same study key. `thygan artifacts` lists them.
        dry_run: Only print the cost of the study: trainings, GPU-hours, bytes stored, node disk.
        max_gpu_hours: Refuse a study that is estimated to take more GPU-hours; 0 = no limit.
        runner: subprocess = stages run in this environment; docker = in their images, through the engine of
            DOCKER_HOST, with a read-only root, without a network and not as root.
        network: Network of the engine for --runner docker, where an object store must be reached.
        as_json: Print the outcome as JSON, last.
    """
    started = time.monotonic()
    values = resolve_study(profile, stated)
    if dry_run or max_gpu_hours:
        from pipelines.cluster.cost import refuse_beyond, study_cost

        cost = study_cost(values.groups)
        log(cost.as_text())
        refuse_beyond(cost, max_gpu_hours)
    if dry_run:
        return
    report = _run(values, out, local_workers, store=store, runner=runner, network=network)
    seconds = time.monotonic() - started
    log(f"the study took {seconds / 60:.1f} min")
    log(f"report: {report}")
    if as_json:
        print(json.dumps({"report": str(report), "seconds": round(seconds, 1)}))


def run_study(out: Path, *, profile: str, local_workers: int, parameters: Mapping[str, Any]) -> Path:
    """Runs the whole study on this machine; returns the report.

    Args:
        out: Folder for the report, artifacts, cache, logs and the study key.
        profile: Name of a profile, a YAML file of option groups, or "none".
        local_workers: Number of folds that run at the same time.
        parameters: The study's parameters; groups as mappings.

    Raises:
        ThyganError: Wrong parameters, or a stage that failed.
    """
    return _run(resolve_study(profile, parameters), out, local_workers)


def _run(
    values: StudyValues,
    out: Path,
    workers: int,
    *,
    store: str = "",
    runner: str = "subprocess",
    network: str = "none",
) -> Path:
    """Runs the study and puts what people read into `out`; returns the report."""
    from components.core.protocol.lineage import KEY_FILE_VARIABLE, KEY_VARIABLE
    from pipelines.cli.run_inputs import local_arguments
    from pipelines.local.runner import run_locally

    out = out.resolve()
    arguments = local_arguments(values, out)
    if not os.environ.get(KEY_VARIABLE):
        os.environ.setdefault(KEY_FILE_VARIABLE, str(out / "study.key"))
    if store:
        _use_store(store, out)
    pipeline = _pipeline(values)
    containers = None
    if runner == "docker":
        from pipelines.local.docker import Containers

        containers = Containers(pipeline, arguments, out, network)
    finished = run_locally(pipeline, arguments, out, workers=workers, caching=not store, containers=containers)
    for name, file in _FILES.items():
        shutil.copyfile(finished.outputs[name].path, out / file)
    shutil.copytree(finished.outputs["gap"].path, out / "domain-gap", dirs_exist_ok=True)
    return out / REPORT


def _pipeline(values: StudyValues) -> Any:
    if values.uses_one_generator:
        from pipelines.study.published import local_published

        return local_published()
    from pipelines.study.pipeline import local_study

    return local_study()


def _use_store(store: str, out: Path) -> None:
    """Has every stage keep its artifacts in a store; refuses one that cannot be used before anything runs."""
    from components.core.cache.result_cache import TASK
    from components.kfp_runtime import OBJECTS_VARIABLE, STORE_VARIABLE

    address = store if is_bucket(store) else str(local_folder(store).resolve())
    opened = open_store(address)
    opened.read(TASK)
    os.environ[STORE_VARIABLE] = address
    os.environ[OBJECTS_VARIABLE] = str(out / "objects")
    run_name = os.environ.setdefault(RUN_VARIABLE, f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
    log(f"every artifact is kept in {opened.uri} as run {run_name}")
