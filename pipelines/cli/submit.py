"""`thygan submit`: the study on a cluster, checked before anything is started."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from components.core.errors import ConfigError, StoreError
from components.core.runtime.progress import log
from components.core.store import is_bucket, open_store
from pipelines.cli.study_command import study_command
from pipelines.cli.study_values import StudyValues, resolve_study

_ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_MOST_PARAMETER_BYTES = 10_000  # KFP's server refuses more
_POLL_S, _FAILED_POLLS = 10.0, 30  # seconds between two polls; polls that may fail in a row


@study_command()
def submit(
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
    *,
    stated: Mapping[str, Any],
) -> None:
    """Starts the study on a cluster and prints its page.

    First it checks the options and that images, buckets and server exist, and prints what the study costs and what
    is already stored. Nothing is uploaded before all of that holds.

    Args:
        profile: Name of a profile, or a YAML file of option groups; options stated here override it.
        endpoint: Address of the KFP server, http://host:port; empty = KF_PIPELINES_ENDPOINT. THYGAN_KFP_TOKEN is its
            token.
        namespace: Namespace on a server with several users.
        experiment: Experiment that the run belongs to.
        name: Name of the run; empty = the version's with the time.
        store: Where results are stored, to print what it has already, s3://bucket/prefix; empty = nothing is printed.
        wait: Stay until the run has ended, and print the states of its tasks; the exit status is the run's.
        check_images: Look into the registry for every image.
        dry_run: Stop after the checks.
        max_gpu_hours: Refuse a study that is estimated to take more GPU-hours; 0 = no limit.
        tiles: Number of tiles of the study, for the estimate; 0 = 20 000 are assumed.
        sec_per_kimg: GPU-seconds per thousand images of GAN training as measured, for the estimate; 0 = as published.
        as_json: Print the outcome as JSON, last.
    """
    from pipelines.cluster.client import Cluster, ClusterError, version_name
    from pipelines.cluster.cost import refuse_beyond, study_cost

    values = resolve_study(profile, stated)
    cost = study_cost(values.groups, tiles, sec_per_kimg)
    log(cost.as_text())
    refuse_beyond(cost, max_gpu_hours)
    _check_size(values.arguments)
    check_cluster_inputs(values, images=check_images)
    if store:
        log(_describe_store(store))
    cluster = Cluster(endpoint, namespace)
    state = "is uploaded already" if cluster.is_uploaded() else "is to be uploaded"
    log(f"version {version_name()} {state}; {_describe_resuming(values)}")
    if dry_run:
        return
    run_name = name or f"{version_name()} {time.strftime('%Y-%m-%d %H:%M')}"
    run_id, page = cluster.start_run(run_name, experiment, values.arguments)
    log(f"run {run_id}: {page}")
    state = _follow(cluster, run_id) if wait else ""
    if as_json:
        print(json.dumps({"run": run_id, "page": page, "version": version_name(), "state": state}))
    if wait and state != "SUCCEEDED":
        raise ClusterError(f"The run ended as {state}: {page} shows which task and why.")


def check_cluster_inputs(values: StudyValues, *, images: bool) -> None:
    """Refuses what a cluster cannot read: folders of this machine, buckets that do not exist, missing images.

    Args:
        values: The study's parameters.
        images: Whether to look into the registry for every image.

    Raises:
        ConfigError: With the parameter and what to do.
    """
    from pipelines.cluster.image_registry import check_images
    from pipelines.study.compile import study_ir

    if values.uses_one_generator:
        raise ConfigError(
            "One generator for all folds (published with allow_leakage) is a pipeline of its own: upload "
            "pipelines/compiled/published.yaml in the KFP UI and start it there."
        )
    if not values.arguments.get("source"):
        raise ConfigError("The study has no images: name the bucket with its own images, --source s3://bucket/prefix.")
    for name, address in _addresses(values):
        _check_address(name, address)
    if images:
        executors = study_ir()[0]["deploymentSpec"]["executors"].values()
        check_images({one["container"]["image"] for one in executors})


def _addresses(values: StudyValues) -> Iterator[tuple[str, str]]:
    """Every address that stages will read: parameter and address."""
    arguments, groups = values.arguments, values.groups
    listed = {
        "source": [arguments.get("source")],
        "external": arguments.get("external", []),
        "labels": [arguments.get("labels")],
        "external_labels": arguments.get("external_labels", []),
        "split.import_splits": [groups["split"].import_splits],
        "shared.checkpoint_uri": [groups["shared"].checkpoint_uri],
    }
    yield from ((name, address) for name, addresses in listed.items() for address in addresses if address)


def _check_address(name: str, address: str) -> None:
    if not is_bucket(address):
        raise ConfigError(
            f"{name} is {address!r}, which no pod can read: copy it into a bucket and write s3://bucket/prefix."
        )
    folder, _, file = address.rpartition("/")
    if name in ("labels", "external_labels") and not open_store(folder).exists(file):
        raise ConfigError(f"{name} is {address}: the object does not exist. Correct the address, or upload the file.")
    if name in ("source", "external") and not open_store(address).list():
        raise ConfigError(f"{name} is {address}: it is empty. Correct the address, or upload the images.")


def _check_size(arguments: Mapping[str, Any]) -> None:
    size = len(json.dumps(arguments).encode())
    if size > _MOST_PARAMETER_BYTES:
        raise ConfigError(
            f"The parameters take {size:,} bytes, and KFP takes {_MOST_PARAMETER_BYTES:,}: put long lists into files."
        )


def _describe_store(store: str) -> str:
    """The results of this code in a store, by stage."""
    from components.core.cache.result_cache import RESULTS, ResultCache
    from components.kfp_component import code_tag

    counts: dict[str, int] = {}
    for result in ResultCache(store).list_by_code(code_tag()):
        counts[result.stage] = counts.get(result.stage, 0) + 1
    if not counts:
        return f"{store} has no result of this code under {RESULTS}/: everything is computed"
    listed = ", ".join(f"{stage} {count}" for stage, count in sorted(counts.items()))
    return f"{store} has results of this code: {listed}; each is used where content and options are the same"


def _describe_resuming(values: StudyValues) -> str:
    if values.groups["shared"].checkpoint_uri:
        return "tiles are cut again; a training that is killed resumes from its checkpoint"
    return "tiles are cut again; without --shared.checkpoint-uri a training that is killed starts again"


def _follow(cluster: Any, run_id: str) -> str:
    """Prints each task's state when it changes, until the run has ended; returns the run's."""
    states: dict[str, str] = {}
    failures = 0
    while True:
        try:
            run = cluster.get_run(run_id)
            failures = 0
        except StoreError:
            failures += 1
            if failures > _FAILED_POLLS:
                raise
            time.sleep(_POLL_S)
            continue
        details = run.run_details.task_details if run.run_details else None
        for task in details or []:
            if task.state and states.get(task.task_id) != task.state:
                states[task.task_id] = task.state
                log(f"{task.display_name}: {task.state.lower()}")
        if run.state in _ENDED:
            log(f"run {run_id}: {run.state}")
            return str(run.state)
        time.sleep(_POLL_S)
