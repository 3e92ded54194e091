"""`thygan submit`: the study on a cluster, looked over before anything is started."""

import json
import time
from collections.abc import Iterable
from typing import Annotated, Any

from cyclopts import Parameter

from components.core.cache.result_cache import RESULTS, ResultCache
from components.core.errors import ConfigError, StoreError
from components.core.runtime.progress import log
from components.core.store import is_bucket, open_store
from components.kfp_component import code_tag
from pipelines.cli.parameters import command_of, completed, merged
from pipelines.cluster.client import Cluster, ClusterError, version_name
from pipelines.cluster.cost import refuse_beyond, study_cost
from pipelines.cluster.image_registry import check_images
from pipelines.study.compile import study_ir
from pipelines.study.published import one_generator

_ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_MOST_PARAMETER_BYTES = 10_000  # KFP's server refuses more
_POLL_S, _PATIENCE = 10.0, 30  # polls that may fail in a row


def _submit(
    profile: str = "",
    endpoint: str = "",
    namespace: str = "",
    experiment: str = "thygan",
    name: str = "",
    store: str = "",
    wait: bool = False,
    check_images: bool = True,
    dry_run: bool = False,
    max_gpu_hours: float = 0.0,
    tiles: int = 0,
    sec_per_kimg: float = 0.0,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    **given: Any,
) -> None:
    """Starts the study on a cluster and prints its page.

    Before that it looks whether images, buckets and server are there, and says what the study costs and what is
    already kept. Nothing is uploaded before all of that holds.

    Args:
        profile: Name of a profile, or a YAML file with parameters; options given here override it.
        endpoint: Of the KFP server, http://host:port; empty = KF_PIPELINES_ENDPOINT. THYGAN_KFP_TOKEN is its token.
        namespace: On a server with several users.
        experiment: That the run belongs to.
        name: Of the run; empty = the version's with the time.
        store: Where results are kept, to say what is there already, s3://bucket/prefix; empty = nobody looks.
        wait: Stay until the run has ended, and say how its tasks go; the exit status is the run's.
        check_images: Look into the registry for every image.
        dry_run: Stop after the look.
        max_gpu_hours: Refuse a study that is estimated to take more; 0 = no limit.
        tiles: Of the study, for the estimate; 0 = 20 000 are assumed.
        sec_per_kimg: GPU-seconds per thousand images of GAN training as measured, for the estimate.
        as_json: Print the outcome as JSON, last.
    """
    values = merged(profile, given)
    cost = study_cost(completed(values), tiles, sec_per_kimg)
    log(cost.as_text())
    refuse_beyond(cost, max_gpu_hours)
    _check_parameters(values)
    look_over(values, images=check_images)
    if store:
        log(_kept(store))
    cluster = Cluster(endpoint, namespace)
    there = "is there" if cluster.is_uploaded() else "is to be uploaded"
    log(f"version {version_name()} {there}; {_caching(values)}")
    if dry_run:
        return
    run_id, page = cluster.start(name or f"{version_name()} {time.strftime('%Y-%m-%d %H:%M')}", experiment, values)
    log(f"run {run_id}: {page}")
    state = _followed(cluster, run_id) if wait else ""
    if as_json:
        print(json.dumps({"run": run_id, "page": page, "version": version_name(), "state": state}))
    if wait and state != "SUCCEEDED":
        raise ClusterError(f"The run ended as {state}: {page} shows which task and why.")


def submit_command() -> Any:
    """`_submit` with the pipeline's parameters as options of its own."""
    return command_of(_submit)


def look_over(values: dict[str, Any], *, images: bool) -> None:
    """Refuses what a cluster could not read: folders of this machine, buckets that are not there, absent images."""
    if one_generator(values):
        raise ConfigError(
            "One generator for all folds (published with allow_leakage) is a pipeline of its own: upload "
            "pipelines/compiled/published.yaml in the KFP UI and start it there."
        )
    if not values.get("source"):
        raise ConfigError("No images: name the bucket with the study's own images by --source s3://bucket/prefix.")
    for parameter in ("source", "external", "labels", "external_labels", "import_splits", "checkpoint_uri"):
        is_file = parameter in ("labels", "external_labels")
        for place in _several(values.get(parameter)):
            if not is_bucket(place):
                raise ConfigError(
                    f"{parameter} is {place!r}, which no pod can read: put it into a bucket and write "
                    "s3://bucket/prefix."
                )
            folder, _, base = place.rpartition("/")
            if is_file and not open_store(folder).exists(base):
                raise ConfigError(f"{parameter} is {place}: there is no such object.")
            if not is_file and not open_store(place).list() and parameter in ("source", "external"):
                raise ConfigError(f"{parameter} is {place}: there is nothing below it.")
    if images:
        executors = study_ir()[0]["deploymentSpec"]["executors"].values()
        check_images({one["container"]["image"] for one in executors})


def _several(value: Any) -> Iterable[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if one]


def _check_parameters(values: dict[str, Any]) -> None:
    size = len(json.dumps(values).encode())
    if size > _MOST_PARAMETER_BYTES:
        raise ConfigError(
            f"The parameters take {size:,} bytes, and KFP takes {_MOST_PARAMETER_BYTES:,}: put long lists into files."
        )


def _kept(store: str) -> str:
    """What the store has of this code, by stage."""
    counts: dict[str, int] = {}
    for result in ResultCache(store).list_by_code(code_tag()):
        counts[result.stage] = counts.get(result.stage, 0) + 1
    if not counts:
        return f"{store} keeps no result of this code under {RESULTS}/: everything is to be computed"
    listed = ", ".join(f"{stage} {count}" for stage, count in sorted(counts.items()))
    return f"{store} keeps of this code: {listed}; each is taken where content and options are the same"


def _caching(values: dict[str, Any]) -> str:
    if values.get("checkpoint_uri"):
        return "tiles are cut anew; a GAN training that is killed goes on from its checkpoint"
    return "tiles are cut anew; without --checkpoint-uri a GAN training that is killed begins anew"


def _followed(cluster: Cluster, run_id: str) -> str:
    """Says each task's state when it changes, until the run has ended; returns how."""
    told: dict[str, str] = {}
    failures = 0
    while True:
        try:
            run = cluster.run(run_id)
            failures = 0
        except StoreError:
            failures += 1
            if failures > _PATIENCE:
                raise
            time.sleep(_POLL_S)
            continue
        details = run.run_details.task_details if run.run_details else None
        for task in details or []:
            if task.state and told.get(task.task_id) != task.state:
                told[task.task_id] = task.state
                log(f"{task.display_name}: {task.state.lower()}")
        if run.state in _ENDED:
            log(f"run {run_id}: {run.state}")
            return str(run.state)
        time.sleep(_POLL_S)
