"""`thygan run`: the study on this machine. Its options are the pipeline's own parameters."""

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from components.core.cache.result_cache import TASK
from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import digest
from components.core.protocol.lineage import KEY_FILE_VARIABLE, KEY_VARIABLE
from components.core.runtime.logs import RUN_VARIABLE
from components.core.runtime.progress import log
from components.core.store import is_bucket, local_folder, open_store
from components.kfp_runtime import OBJECTS_VARIABLE, STORE_VARIABLE
from pipelines.cli.parameters import command_of, completed, merged
from pipelines.cluster.cost import refuse_beyond, study_cost

_SOURCE_FOLDERS = ("source", "import_splits", "weights_dir")
_SHOWN = {
    "page": "report.html",
    "markdown": "report.md",
    "metrics": "metrics.json",
    "data_card": "data-card.html",
    "external_data_card": "external-data-card.html",
    "external_predictions": "external-predictions.csv",
}


def _study(
    profile: str = "",
    out: Path = Path("runs/study"),
    local_workers: int = 2,
    store: str = "",
    dry_run: bool = False,
    max_gpu_hours: float = 0.0,
    runner: Literal["subprocess", "docker"] = "subprocess",
    network: str = "none",
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    **given: Any,
) -> None:
    """Runs the whole study on this machine and says where the report lies.

    The same command again goes on where an interrupted run stopped: finished stages come from the cache in --out.

    Args:
        profile: Name of a profile, or a YAML file with parameters; options given here override it.
        out: Folder for the report, artifacts, cache, logs and the study key.
        local_workers: Folds that run at a time.
        store: s3://bucket/prefix or a folder that keeps every artifact of every run, found again by its content: on
            another machine, too, with the same study key. `thygan artifacts` shows what is there.
        dry_run: Only say what the study would cost: trainings, GPU-hours, bytes kept, node disk.
        max_gpu_hours: Refuse a study that is estimated to take more; 0 = no limit.
        runner: subprocess = stages run in this environment; docker = in their images, through the engine of
            DOCKER_HOST, with a read-only root, without a network and not as root.
        network: The engine's network for --runner docker, where an object store must be reached.
        as_json: Print the outcome as JSON, last.
    """
    from pipelines.local.runner import run_here
    from pipelines.study.pipeline import study
    from pipelines.study.published import one_generator, published

    started = time.monotonic()
    out = out.resolve()
    values = merged(profile, given)
    if dry_run or max_gpu_hours:
        cost = study_cost(completed(values))
        log(cost.as_text())
        refuse_beyond(cost, max_gpu_hours)
    if dry_run:
        return
    arguments = _arguments(values, out)
    if not os.environ.get(KEY_VARIABLE):
        os.environ.setdefault(KEY_FILE_VARIABLE, str(out / "study.key"))
    if store:
        _keep_in(store, out)
    pipeline = published if one_generator(arguments) else study
    containers = None
    if runner == "docker":
        from pipelines.local.docker import Containers

        containers = Containers(pipeline, arguments, out, network)
    run = run_here(pipeline, arguments, out, workers=local_workers, caching=not store, containers=containers)
    outputs = run.outputs
    for name, file in _SHOWN.items():
        shutil.copyfile(outputs[name].path, out / file)
    shutil.copytree(outputs["gap"].path, out / "domain-gap", dirs_exist_ok=True)
    seconds = time.monotonic() - started
    log(f"the study took {seconds / 60:.1f} min")
    log(f"report: {out / 'report.html'}")
    if as_json:
        print(json.dumps({"report": str(out / "report.html"), "seconds": round(seconds, 1)}))


def _keep_in(store: str, out: Path) -> None:
    """Has every stage keep what it makes; refuses a store that cannot be used before anything runs."""
    address = store if is_bucket(store) else str(local_folder(store).resolve())
    opened = open_store(address)
    opened.read(TASK)
    os.environ[STORE_VARIABLE] = address
    os.environ[OBJECTS_VARIABLE] = str(out / "objects")
    run = os.environ.setdefault(RUN_VARIABLE, f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
    log(f"keeping every artifact in {opened.uri} as run {run}")


def run_command() -> Callable[..., None]:
    """`_study` with the pipeline's parameters, without those that name a cluster's pools."""
    from pipelines.study.resources import POOLS

    return command_of(_study, hidden={*POOLS.parameters(), "train_job"})


def _arguments(values: dict[str, Any], out: Path) -> dict[str, Any]:
    """The pipeline's arguments: demo data where they are asked for, folders as absolute paths."""
    if values.get("demonstration") and not values.get("source"):
        values |= _demo_folders(out, values.get("seed", 0))
    if not values.get("source"):
        raise ConfigError("No images: name the folder with the study's own images by --source DIR.")
    for name in _SOURCE_FOLDERS:
        if values.get(name):
            values[name] = _existing(values[name], name)
    values["external"] = [_existing(folder, "external") for folder in values.get("external", [])]
    values["external_labels"] = [_file(one) for one in values.get("external_labels", [])]
    values["labels"] = _file(values.get("labels", ""))
    values["gan_params"] = {arm: _text(one) for arm, one in values.get("gan_params", {}).items()}
    values.setdefault("data_version", _data_version(values))
    return values


def _existing(source: str, name: str) -> str:
    """A folder or file as an absolute path; the address of a bucket as it is."""
    if is_bucket(source):
        return source
    path = Path(source).resolve()
    if not path.exists():
        raise DataError(f"--{name.replace('_', '-')} {source}: there is no such folder.")
    return str(path)


def _file(path: str) -> str:
    if path and not Path(path).is_file():
        raise DataError(f"The label file {path} does not exist.")
    return str(Path(path).resolve()) if path else ""


def _text(given: str) -> str:
    """A file's text, which reaches every pod and enters the cache key; a text as it is."""
    if given.lstrip().startswith("{"):
        return given
    try:
        return Path(given).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise DataError(f"The file of generation parameters {given} cannot be read: name a JSON file.") from None


def _demo_folders(out: Path, seed: int) -> dict[str, Any]:
    from pipelines.demo import write_study

    folder = out / "demo-data"
    if not folder.exists():
        log("making the demo data: procedural H&E-like fields of two hospitals")
        write_study(folder, seed=seed, images_per_patient=2, size_px=192)
    return {"source": str(folder / "hospital-a"), "external": [str(folder / "hospital-b")]}


def _data_version(values: dict[str, Any]) -> str:
    """A digest over names, sizes and times of all input files: new data, no stale cache."""
    tops = [values["source"], *values["external"], values["labels"], *values["external_labels"]]
    tops.append(values.get("import_splits", ""))
    seen = []
    for top in filter(None, tops):
        if is_bucket(top):
            seen += [[top, asdict(entry)] for entry in open_store(top).list()]
            continue
        path = Path(top)
        for file in [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file()):
            stat = file.stat()
            seen.append([str(file), stat.st_size, stat.st_mtime_ns])
    return digest(seen)[:16]
