"""`thygan schedule`: the recurring runs of a KFP server, as the files in git state them."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from components.core.errors import ConfigError
from components.core.runtime.progress import log

FOLDER = Path("schedules")


def apply_schedules(
    folder: Path = FOLDER,
    *,
    endpoint: str = "",
    namespace: str = "",
    prune: bool = False,
    dry_run: bool = False,
    check: bool = True,
) -> None:
    """Makes the server's recurring runs what the files state; a second time it changes nothing.

    Args:
        folder: Folder with a YAML file for each recurring run.
        endpoint: Address of the KFP server; empty = KF_PIPELINES_ENDPOINT.
        namespace: Namespace on a server with several users.
        prune: Delete recurring runs whose file is gone.
        dry_run: Only print what would be done.
        check: Check first that buckets and images exist.
    """
    from pipelines.cli.schedule_files import read_schedules
    from pipelines.cli.submit import check_cluster_inputs
    from pipelines.cluster.client import Cluster
    from pipelines.cluster.schedules import apply_step, plan_steps

    files = read_schedules(folder)
    for file in files if check else ():
        check_cluster_inputs(file.values, images=file is files[0])
    cluster = Cluster(endpoint, namespace)
    schedules = [file.schedule for file in files]
    for step in plan_steps(schedules, cluster.list_recurring_runs(), prune=prune):
        log(f"{'would ' if dry_run and step.is_change else ''}{step.action} {step.name}: {step.reason}")
        if not dry_run:
            apply_step(cluster, step)


def list_schedules(
    *,
    endpoint: str = "",
    namespace: str = "",
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Prints the server's recurring runs.

    Args:
        endpoint: Address of the KFP server; empty = KF_PIPELINES_ENDPOINT.
        namespace: Namespace on a server with several users.
        as_json: Print JSON.
    """
    from pipelines.cluster.client import Cluster
    from pipelines.cluster.schedules import cron_of, is_from_file

    rows = [
        {
            "name": run.display_name,
            "cron": cron_of(run),
            "state": (run.status or run.mode or "").lower(),
            "from_file": is_from_file(run),
            "id": run.recurring_run_id,
        }
        for run in Cluster(endpoint, namespace).list_recurring_runs()
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        origin = "from a file" if row["from_file"] else "by hand"
        log(f"{row['name']:30} {row['cron']:22} {row['state']:10} {origin:12} {row['id']}")
    if not rows:
        log("There is no recurring run.")


def delete_schedule(name: str, *, endpoint: str = "", namespace: str = "") -> None:
    """Deletes the recurring runs of this name that were made from a file; runs that have started continue.

    Args:
        name: Name, as in the file.
        endpoint: Address of the KFP server; empty = KF_PIPELINES_ENDPOINT.
        namespace: Namespace on a server with several users.
    """
    from pipelines.cluster.client import Cluster
    from pipelines.cluster.schedules import is_from_file

    cluster = Cluster(endpoint, namespace)
    runs = [run for run in cluster.list_recurring_runs() if run.display_name == name and is_from_file(run)]
    if not runs:
        raise ConfigError(f"No recurring run {name!r} was made from a file: `thygan schedule list` shows them all.")
    for run in runs:
        cluster.delete_recurring_run(run.recurring_run_id)
        log(f"deleted {name} ({run.recurring_run_id})")
