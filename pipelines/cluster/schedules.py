"""Recurring runs of a KFP server: what the files in git ask for, compared with what the server has.

KFP cannot change a recurring run, so one that differs is created again before the old one is deleted. A run that was
made from a file carries a digest of it in its description; recurring runs made by hand are left alone.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from components.core.io.atomic_files import digest
from pipelines.cluster.client import Cluster, version_name

_MARK = re.compile(r"thygan schedule ([0-9a-f]{16})")


@dataclass(frozen=True)
class Schedule:
    """A recurring run as a file states it.

    Attributes:
        name: Name of the recurring run.
        cron: Six fields, seconds first.
        parameters: The pipeline's arguments, those of the profile included.
        experiment: Experiment that its runs belong to.
        enabled: Whether it runs.
        max_concurrency: Number of runs at the same time.
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
        """A digest that changes with the file and with the code."""
        return digest([asdict(self), version_name()])[:16]


@dataclass(frozen=True)
class Step:
    """A change of the server for one name.

    Attributes:
        action: "create", "replace", "delete", "keep" or "leave".
        name: Name of the recurring run.
        reason: Why, in a few words.
        schedule: The recurring run to create; None = none.
        obsolete: Ids of recurring runs to delete.
    """

    action: str
    name: str
    reason: str
    schedule: Schedule | None = None
    obsolete: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        """Whether the step changes the server."""
        return self.action not in ("keep", "leave")


def plan_steps(schedules: Sequence[Schedule], runs: Sequence[Any], *, prune: bool) -> list[Step]:
    """The steps that make the server's recurring runs those of the files.

    Args:
        schedules: The files' schedules.
        runs: The server's recurring runs.
        prune: Whether to delete runs whose file is gone.
    """
    steps = []
    for schedule in schedules:
        same_name = [run for run in runs if run.display_name == schedule.name and is_from_file(run)]
        current = [run for run in same_name if _mark_of(run) == schedule.mark and not _drift(schedule, run)]
        extra = tuple(run.recurring_run_id for run in same_name if not current or run is not current[0])
        if current and not extra:
            steps.append(Step("keep", schedule.name, f"{schedule.cron}, as the file says"))
        elif current:
            steps.append(Step("delete", schedule.name, f"{len(extra)} beside the current one", obsolete=extra))
        elif same_name:
            reason = _drift(schedule, same_name[0]) or "the file or the code has changed"
            steps.append(Step("replace", schedule.name, reason, schedule, extra))
        else:
            steps.append(Step("create", schedule.name, schedule.cron, schedule))
    names = {schedule.name for schedule in schedules}
    for run in runs:
        if run.display_name in names or not is_from_file(run):
            continue
        if prune:
            steps.append(Step("delete", run.display_name, "its file is gone", obsolete=(run.recurring_run_id,)))
        else:
            steps.append(Step("leave", run.display_name, "its file is gone; --prune deletes it"))
    return steps


def apply_step(cluster: Cluster, step: Step) -> None:
    """Changes the server as a step says."""
    if schedule := step.schedule:
        cluster.create_recurring_run(
            schedule.name,
            f"thygan schedule {schedule.mark}",
            schedule.experiment,
            cron_expression=schedule.cron,
            max_concurrency=schedule.max_concurrency,
            no_catchup=not schedule.catch_up,
            enabled=schedule.enabled,
            params=schedule.parameters,
        )
    for run_id in step.obsolete:
        cluster.delete_recurring_run(run_id)


def is_from_file(run: Any) -> bool:
    """Whether a recurring run was made from a file."""
    return bool(_mark_of(run))


def cron_of(run: Any) -> str:
    """The cron expression of a recurring run; '' = none."""
    trigger = run.trigger
    return trigger.cron_schedule.cron if trigger and trigger.cron_schedule else ""


def _drift(schedule: Schedule, run: Any) -> str:
    """How a recurring run was changed on the server; '' = it was not."""
    is_enabled = (run.status or "ENABLED") == "ENABLED"
    if is_enabled != schedule.enabled:
        return f"it was {'enabled' if is_enabled else 'disabled'} on the server"
    if cron_of(run) != schedule.cron:
        return f"its cron on the server is {cron_of(run)}"
    if run.runtime_config and (run.runtime_config.parameters or {}) != schedule.parameters:
        return "its parameters on the server differ"
    return ""


def _mark_of(run: Any) -> str:
    match = _MARK.search(run.description or "")
    return match[1] if match else ""
