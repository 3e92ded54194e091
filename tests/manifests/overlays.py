"""The overlays as kustomize renders them, for the tests beside."""

import copy
import importlib.util
import shutil
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OVERLAYS = ("local", "gpu", "prod")

_spec = importlib.util.spec_from_file_location("manifests_check", ROOT / "manifests/check.py")
checker = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(checker)


@cache
def rendered(overlay):
    if not shutil.which("kubectl"):
        pytest.skip("skipped: kubectl is not here, and renders the overlays")
    return checker.render(ROOT / "manifests/overlays" / overlay)


def pods(objects):
    """Workload and pod template of everything that makes pods."""
    for one in objects:
        spec = one.get("spec", {})
        if one["kind"] == "TrainingRuntime":
            yield from ((one, _of_job_set(job)) for job in spec["template"]["spec"]["replicatedJobs"])
            continue
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template and "spec" in template:
            yield one, template


def _of_job_set(job):
    """The pod template of a JobSet's job, with the label that its controller adds."""
    template = copy.deepcopy(job["template"]["spec"]["template"])
    template["metadata"]["labels"]["jobset.sigs.k8s.io/jobset-name"] = "of-a-training"
    return template


def containers(template):
    spec = template["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]
