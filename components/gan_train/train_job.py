"""A training on several nodes: a TrainJob of Kubeflow Trainer v2, made by this pod, watched, and removed.

The nodes get data set and options through the checkpoints' bucket, and leave the trained state there; this pod then
goes on from it, which is to write the results down. Node pools, taints and /dev/shm are the runtime's (`thygan-torch`,
a TrainingRuntime of the namespace), because the fields that override a runtime's change from one Trainer to the next.
"""

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3

from components.core.data.content_hash import content_hash
from components.core.errors import ConfigError, TrainingError
from components.core.io.atomic_files import digest
from components.core.runtime.progress import log
from components.core.store import is_bucket, open_store
from components.gan_train.worker import DATASET, JOB

GROUP, KIND = "trainer.kubeflow.org/v1alpha1", "trainjobs"
IMAGE_VARIABLE, API_VARIABLE = "THYGAN_IMAGE", "THYGAN_KUBERNETES_API"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_KNOWN = {"nodes", "gpus", "gpu_type", "runtime", "cpu", "memory", "hours"}
_HANDED_ON = re.compile(r"(AWS|THYGAN|NCCL)_")
_POLL_S, _TIMEOUT_S, _PATIENCE = 10.0, 30.0, 30
_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def train_on_nodes(wanted: Mapping[str, str], options: Mapping[str, Any]) -> None:
    """Has a TrainJob train, and waits for its end.

    Args:
        wanted: nodes (at least 2), gpus of each, gpu_type, cpu and memory of each, runtime, hours after which it is
            ended; all texts.
        options: The stage's; checkpoint_uri must be a bucket.

    Raises:
        ConfigError: What is wanted cannot be meant.
        TrainingError: The job failed, or the cluster refuses it.
    """
    nodes, gpus = _checked(wanted)
    if not is_bucket(options["checkpoint_uri"]):
        raise ConfigError("A training on several nodes needs checkpoint_uri in a bucket: the nodes share no disk.")
    own = {name: value for name, value in options.items() if name not in ("dataset", "snapshots", "page", "metrics")}
    key = digest([content_hash(options["dataset"]), own, dict(wanted)])[:16]
    uri = f"{options['checkpoint_uri'].rstrip('/')}/jobs/{key}"
    store = open_store(uri)
    store.put(Path(options["dataset"]), DATASET)
    store.write(JOB, json.dumps(own).encode())
    cluster = _Kubernetes()
    name = f"thygan-gan-{key}"
    try:
        cluster.create(train_job(name, wanted, nodes, gpus, f"{uri}/{JOB}"))
        _wait(cluster, name, float(wanted.get("hours", "336")) * 3600)
    finally:
        cluster.delete(name)
        store.delete(DATASET)
        store.delete(JOB)


def train_job(name: str, wanted: Mapping[str, str], nodes: int, gpus: int, job: str) -> dict[str, Any]:
    """The TrainJob; its processes find each other by what the runtime's torch plugin sets."""
    resources = {
        "cpu": wanted.get("cpu", "8"),
        "memory": wanted.get("memory", "48Gi"),
        **({wanted.get("gpu_type", "nvidia.com/gpu"): str(gpus)} if gpus else {}),
    }
    return {
        "apiVersion": GROUP,
        "kind": "TrainJob",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/part-of": "thygan", "app.kubernetes.io/component": "gan-train"},
        },
        "spec": {
            "runtimeRef": {
                "apiGroup": GROUP.partition("/")[0],
                "kind": "TrainingRuntime",
                "name": wanted.get("runtime", "thygan-torch"),
            },
            "trainer": {
                "image": os.environ.get(IMAGE_VARIABLE, ""),
                "command": ["python3", "-m", "torch.distributed.run", "-m", "components.gan_train.worker", job],
                "numNodes": nodes,
                "numProcPerNode": max(1, gpus),
                "resourcesPerNode": {"requests": resources, "limits": resources},
                "env": _environment(),
            },
        },
    }


def _environment() -> list[dict[str, Any]]:
    """What this pod knows of stores; credentials by the name of their Secret, never by value."""
    plain = [
        {"name": name, "value": value}
        for name, value in sorted(os.environ.items())
        if _HANDED_ON.match(name) and name not in (*_SECRETS, "THYGAN_STUDY_KEY", "AWS_SESSION_TOKEN", API_VARIABLE)
    ]
    secret = {"name": "thygan-s3-gan-train", "optional": True}
    return plain + [{"name": one, "valueFrom": {"secretKeyRef": {**secret, "key": one}}} for one in _SECRETS]


def _checked(wanted: Mapping[str, str]) -> tuple[int, int]:
    if unknown := sorted(wanted.keys() - _KNOWN):
        raise ConfigError(f"train_job has the unknown key {unknown[0]!r}: it may have {', '.join(sorted(_KNOWN))}.")
    counts = [str(wanted.get(name, default)) for name, default in (("nodes", ""), ("gpus", "1"))]
    if not all(one.isdigit() for one in counts) or int(counts[0]) < 2:
        raise ConfigError('train_job wants at least two nodes: write {"nodes": "2", "gpus": "8"}.')
    return int(counts[0]), int(counts[1])


def _wait(cluster: "_Kubernetes", name: str, most_s: float) -> None:
    """Until the job has ended; raises TrainingError unless it is complete."""
    began, told = time.monotonic(), ""
    while True:
        status = cluster.get(name).get("status", {})
        conditions = {one["type"]: one for one in status.get("conditions", []) if one.get("status") == "True"}
        if "Complete" in conditions:
            log(f"TrainJob {name}: complete")
            return
        if failed := conditions.get("Failed"):
            raise TrainingError(
                f"TrainJob {name} failed ({failed.get('reason', '')}: {failed.get('message', '')}): the logs of its "
                "pods say why; the next attempt goes on from its checkpoint."
            )
        jobs = ", ".join(
            f"{one['name']}: {one.get('ready', 0)} ready, {one.get('failed', 0)} failed"
            for one in status.get("jobsStatus", [])
        )
        if jobs != told:
            log(f"TrainJob {name}: {jobs}")
            told = jobs
        if time.monotonic() - began > most_s:
            raise TrainingError(f"TrainJob {name} is not done after {most_s / 3600:g} h: give train_job more hours.")
        time.sleep(_POLL_S)


class _Kubernetes:
    """The TrainJobs of this pod's namespace, through the API server and the pod's own account."""

    def __init__(self) -> None:
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        base = os.environ.get(API_VARIABLE) or (f"https://{host}:{port}" if host else "")
        if not base:
            raise ConfigError("train_job needs a cluster with Kubeflow Trainer: here, train with torchrun.")
        if not os.environ.get(IMAGE_VARIABLE):
            raise ConfigError(f"{IMAGE_VARIABLE} names no image for the nodes: it is set in a compiled pipeline.")
        certificate = ACCOUNT / "ca.crt"
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(_TIMEOUT_S), ca_certs=str(certificate) if certificate.exists() else None
        )
        namespace = ACCOUNT / "namespace"
        space = namespace.read_text().strip() if namespace.exists() else "thygan"
        self._url = f"{base}/apis/{GROUP}/namespaces/{space}/{KIND}"

    def create(self, job: dict[str, Any]) -> None:
        """Makes the job; one of the same name is a former attempt's, and it is waited for."""
        self._ask("POST", "", job, allowed=(409,))

    def get(self, name: str) -> dict[str, Any]:
        """The job as it is."""
        return self._ask("GET", f"/{name}")

    def delete(self, name: str) -> None:
        """Removes the job with its pods, if it is there."""
        self._ask("DELETE", f"/{name}?propagationPolicy=Background", allowed=(404,))

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, allowed: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        token = ACCOUNT / "token"  # read anew: it is changed every hour
        headers = {"Authorization": f"Bearer {token.read_text().strip()}"} if token.exists() else {}
        for left in range(_PATIENCE, -1, -1):
            try:
                answer = self._http.request(
                    method, self._url + path, headers=headers, json=body, retries=urllib3.Retry(3, backoff_factor=0.5)
                )
            except urllib3.exceptions.HTTPError as error:
                if not left:
                    raise TrainingError(
                        f"The cluster's API server does not answer ({type(error).__name__}): try again."
                    ) from None
                time.sleep(_POLL_S)
                continue
            if answer.status < 300 or answer.status in allowed:
                return dict(answer.json()) if answer.data else {}
            if answer.status < 500 or not left:
                break
            time.sleep(_POLL_S)
        told = re.sub(r"\s+", " ", answer.data.decode(errors="replace"))[:300]
        raise TrainingError(
            f"The cluster refuses to {method} {KIND}{path.partition('?')[0]} ({answer.status}): is Kubeflow Trainer v2 "
            f"installed, and may this account use it? It says: {told}"
        )
