"""One component and one executor for what kfp's compiler writes several times.

A pipeline that two loops call, and a stage that two pipelines have, are compiled once per call (comp-fold-2,
exec-gan-train-2). The duplicates double the IR and with it the workflow object, which Kubernetes limits.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any


def merge_duplicates(spec: dict[str, Any], platform: dict[str, Any]) -> None:
    """Merges identical executors and components in place; task names, arguments and order stay.

    Args:
        spec: The pipeline spec.
        platform: The platform spec, which has the executors' settings on Kubernetes.
    """
    executors = spec["deploymentSpec"]["executors"]
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    components = spec["components"]
    names = _first_names(executors, lambda name: [executors[name], settings.get(name)])
    for component in components.values():
        if label := component.get("executorLabel"):
            component["executorLabel"] = names[label]
    _keep(executors, names.values())
    _keep(settings, names.values())
    while True:
        names = _first_names(components, components.__getitem__)
        if all(name == first for name, first in names.items()):
            return
        for component in (spec["root"], *components.values()):
            for task in component.get("dag", {}).get("tasks", {}).values():
                task["componentRef"]["name"] = names[task["componentRef"]["name"]]
        _keep(components, names.values())


def _first_names(items: Iterable[str], content: Callable[[str], Any]) -> dict[str, str]:
    """Each name with the shortest one of equal content."""
    first: dict[str, str] = {}
    names = {}
    for name in sorted(items, key=lambda one: (len(one), one)):
        names[name] = first.setdefault(json.dumps(content(name), sort_keys=True), name)
    return names


def _keep(items: dict[str, Any], names: Iterable[str]) -> None:
    wanted = set(names)
    for name in [one for one in items if one not in wanted]:
        del items[name]
