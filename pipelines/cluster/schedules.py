"""`thygan schedule`: the recurring runs of a KFP server, as the files in git say.

KFP cannot change a recurring run, so one that differs is created anew before the old one goes. What this made carries a
digest of its file in its description; recurring runs of others are left alone.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from components.core.errors import ConfigError
from components.core.io.atomic_files import digest
from components.core.runtime.cli import new_app
from components.core.runtime.progress import log
from pipelines.cli.parameters import checked, read_profile, read_yaml
from pipelines.cli.submit import look_over
from pipelines.cluster.client import Cluster, version_name
from pipelines.cluster.cron import check_cron

FOLDER = Path("schedules")
_KEYS = {"name", "cron", "enabled", "max_concurrency", "catch_up", "experiment", "profile", "parameters"}
_MARK = re.compile(r"thygan schedule ([0-9a-f]{16})")

schedule = new_app("schedule", "Recurring runs on a cluster, as the files in git say.")


@dataclass(frozen=True)
class Schedule:
    """One file's.

    Attributes:
        name: Of the recurring run.
        cron: Six fields, seconds first.
        parameters: Of the pipeline, those of the profile included.
        experiment: That its runs belong to.
        enabled: Whether it runs.
        max_concurrency: Runs at a time.
        catch_up: Whether missed times are made up for.
    """

    name: str
    cron: str
    parameters: dict[str, Any] = field(default_factory=dict)
    experiment: str = "thygan"
    enabled: bool = True
    max_concurrency: int = 1
    catch_up: bool = False

    @property
    def mark(self) -> str:
        """What the server keeps of it: changes with the file and with the code."""
        return digest([asdict(self), version_name()])[:16]


@dataclass(frozen=True)
class Step:
    """What is done to the server for one name."""

    does: str  # "create", "replace", "delete", "keep"
    name: str
    why: str
    wanted: Schedule | None = None
    there: tuple[str, ...] = ()  # ids of what goes


@schedule.command
def apply(
    folder: Path = FOLDER,
    *,
    endpoint: str = "",
    namespace: str = "",
    prune: bool = False,
    dry_run: bool = False,
    check: bool = True,
) -> None:
    """Makes the server's recurring runs what the files say; again, it changes nothing.

    Args:
        folder: With a YAML file for each.
        endpoint: Of the KFP server; empty = KF_PIPELINES_ENDPOINT.
        namespace: On a server with several users.
        prune: Delete what was made from files that are gone.
        dry_run: Only say what would be done.
        check: Look first whether buckets and images are there.
    """
    wanted = read_schedules(folder)
    for one in wanted if check else ():
        look_over(one.parameters, images=one is wanted[0])
    cluster = Cluster(endpoint, namespace)
    steps = planned(wanted, cluster.recurring(), prune=prune)
    for step in steps:
        log(f"{'would ' if dry_run and step.does not in ('keep', 'leave') else ''}{step.does} {step.name}: {step.why}")
        if not dry_run:
            _do(cluster, step)


@schedule.command(name="list")
def list_schedules(
    *,
    endpoint: str = "",
    namespace: str = "",
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Prints the server's recurring runs.

    Args:
        endpoint: Of the KFP server; empty = KF_PIPELINES_ENDPOINT.
        namespace: On a server with several users.
        as_json: Print JSON.
    """
    rows = [
        {
            "name": one.display_name,
            "cron": _cron_of(one),
            "state": (one.status or one.mode or "").lower(),
            "ours": bool(_mark_of(one)),
            "id": one.recurring_run_id,
        }
        for one in Cluster(endpoint, namespace).recurring()
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        made = "from a file" if row["ours"] else "by hand"
        log(f"{row['name']:30} {row['cron']:22} {row['state']:10} {made:12} {row['id']}")
    if not rows:
        log("There is no recurring run.")


@schedule.command
def delete(name: str, *, endpoint: str = "", namespace: str = "") -> None:
    """Deletes the recurring runs of this name that were made from a file; runs that have begun go on.

    Args:
        name: As in the file.
        endpoint: Of the KFP server; empty = KF_PIPELINES_ENDPOINT.
        namespace: On a server with several users.
    """
    cluster = Cluster(endpoint, namespace)
    found = [one for one in cluster.recurring() if one.display_name == name and _mark_of(one)]
    if not found:
        raise ConfigError(f"No recurring run {name!r} was made from a file: see `thygan schedule list`.")
    for one in found:
        cluster.remove_recurring(one.recurring_run_id)
        log(f"deleted {name} ({one.recurring_run_id})")


def read_schedules(folder: Path) -> list[Schedule]:
    """All schedules of a folder.

    Raises:
        ConfigError: With the file and what is wrong in it.
    """
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if not files:
        raise ConfigError(f"There is no schedule in {folder}: give a folder with a YAML file for each.")
    found: dict[str, str] = {}
    schedules = []
    for path in files:
        one = _read(path)
        if one.name in found:
            raise ConfigError(f"{found[one.name]} and {path.name} are both named {one.name!r}: give each its own name.")
        found[one.name] = path.name
        schedules.append(one)
    return schedules


def planned(wanted: Sequence[Schedule], there: Sequence[Any], *, prune: bool) -> list[Step]:
    """What has to be done, by name; `there` are the server's recurring runs."""
    steps = []
    for one in wanted:
        own = [run for run in there if run.display_name == one.name and _mark_of(run)]
        right = [run for run in own if _mark_of(run) == one.mark and not _drift(one, run)]
        extra = tuple(run.recurring_run_id for run in own if not right or run is not right[0])
        if right and not extra:
            steps.append(Step("keep", one.name, f"{one.cron}, as the file says"))
        elif right:
            steps.append(Step("delete", one.name, f"{len(extra)} beside the right one", there=extra))
        elif own:
            why = _drift(one, own[0]) or "the file or the code has changed"
            steps.append(Step("replace", one.name, why, one, extra))
        else:
            steps.append(Step("create", one.name, one.cron, one))
    names = {one.name for one in wanted}
    for run in there:
        if run.display_name in names or not _mark_of(run):
            continue
        if prune:
            steps.append(Step("delete", run.display_name, "its file is gone", there=(run.recurring_run_id,)))
        else:
            steps.append(Step("leave", run.display_name, "its file is gone; --prune deletes it"))
    return steps


def _do(cluster: Cluster, step: Step) -> None:
    if step.wanted:
        one = step.wanted
        cluster.recur(
            one.name,
            f"thygan schedule {one.mark}",
            one.experiment,
            cron_expression=one.cron,
            max_concurrency=one.max_concurrency,
            no_catchup=not one.catch_up,
            enabled=one.enabled,
            params=one.parameters,
        )
    for gone in step.there:
        cluster.remove_recurring(gone)


def _read(path: Path) -> Schedule:
    values = read_yaml(path)
    if unknown := sorted(values.keys() - _KEYS):
        raise ConfigError(f"{path.name} has the unknown key {unknown[0]!r}: it may have {', '.join(sorted(_KEYS))}.")
    for key in ("name", "cron"):
        if not isinstance(values.get(key), str) or not values[key].strip():
            raise ConfigError(f"{path.name} has no {key}: write `{key}: …`.")
    kinds = {"enabled": bool, "catch_up": bool, "max_concurrency": int, "experiment": str, "parameters": dict}
    for key, kind in kinds.items():
        if key in values and type(values[key]) is not kind:
            raise ConfigError(f"{path.name}: {key} is {values[key]!r}, which is no {kind.__name__}.")
    own = checked(values.pop("parameters", {}), path.name)
    parameters = read_profile(values.pop("profile", "")) | own
    return Schedule(**{**values, "cron": check_cron(values["cron"], path.name)}, parameters=parameters)


def _drift(wanted: Schedule, run: Any) -> str:
    """How a recurring run was changed on the server; '' = it was not."""
    is_enabled = (run.status or "ENABLED") == "ENABLED"
    if is_enabled != wanted.enabled:
        return f"it was {'enabled' if is_enabled else 'disabled'} on the server"
    if _cron_of(run) != wanted.cron:
        return f"its cron on the server is {_cron_of(run)}"
    if run.runtime_config and (run.runtime_config.parameters or {}) != wanted.parameters:
        return "its parameters on the server are others"
    return ""


def _mark_of(run: Any) -> str:
    found = _MARK.search(run.description or "")
    return found[1] if found else ""


def _cron_of(run: Any) -> str:
    trigger = run.trigger
    return trigger.cron_schedule.cron if trigger and trigger.cron_schedule else ""
