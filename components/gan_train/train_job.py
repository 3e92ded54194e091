"""A training on several nodes: a TrainJob of Kubeflow Trainer v2, which this pod creates, watches and deletes.

The nodes get data set and options through the checkpoints' bucket, and leave the trained state there; this pod then
resumes it, which only writes the results. Node pools, taints and /dev/shm stand in the runtime (`thygan-torch`, a
TrainingRuntime of the namespace), because the fields that override a runtime's differ between versions of Trainer.
"""

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import urllib3

from components.core.data.content_hash import content_hash
from components.core.errors import ConfigError, TrainingError
from components.core.io.atomic_files import digest
from components.core.options.shared import SharedOptions
from components.core.runtime.progress import log
from components.core.store import is_bucket, open_store
from components.gan_train.launcher import DATASET, JOB, WORKER, encode_job
from components.gan_train.options import GanOptions

GROUP, KIND = "trainer.kubeflow.org/v1alpha1", "trainjobs"
IMAGE_VARIABLE, API_VARIABLE = "THYGAN_IMAGE", "THYGAN_KUBERNETES_API"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_KEYS = {"nodes", "gpus", "gpu_type", "runtime", "cpu", "memory", "hours"}
_FORWARDED = re.compile(r"(AWS|THYGAN|NCCL)_")
_POLL_S, _TIMEOUT_S, _RETRIES = 10.0, 30.0, 30
_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def train_on_nodes(dataset: str, seed: int, options: GanOptions, shared: SharedOptions) -> None:
    """Creates a TrainJob, and waits for its end.

    Args:
        dataset: GanDataset (zip).
        seed: Seed of everything random.
        options: Options of the stage. `train_job` has nodes (at least 2), gpus, cpu and memory of each node, gpu_type,
            runtime, and hours until the training counts as stuck.
        shared: Options that several stages share; checkpoint_uri must be a bucket.

    Raises:
        ConfigError: Options that contradict one another.
        TrainingError: The job failed, or the cluster refuses it.
    """
    wanted = options.train_job
    nodes, gpus = _node_counts(wanted)
    if not is_bucket(shared.checkpoint_uri):
        raise ConfigError("A training on several nodes needs checkpoint_uri in a bucket: the nodes share no disk.")
    job = encode_job(replace(options, train_job={}), shared, seed=seed)
    key = digest([content_hash(dataset), job, dict(wanted)])[:16]
    uri = f"{shared.checkpoint_uri.rstrip('/')}/jobs/{key}"
    store = open_store(uri)
    store.put(Path(dataset), DATASET)
    store.write(JOB, json.dumps(job).encode())
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
    """The TrainJob; its processes find each other by the variables of the runtime's torch plugin.

    Args:
        name: Name of the job.
        wanted: Value of the option `train_job`.
        nodes: Number of nodes.
        gpus: GPUs of each node; 0 = none.
        job: Address of the job's arguments.
    """
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
                "command": ["python3", "-m", "torch.distributed.run", "-m", WORKER, job],
                "numNodes": nodes,
                "numProcPerNode": max(1, gpus),
                "resourcesPerNode": {"requests": resources, "limits": resources},
                "env": _environment(),
            },
        },
    }


def _environment() -> list[dict[str, Any]]:
    """The variables about stores; credentials by the name of their Secret, never by value."""
    variables = [
        {"name": name, "value": value}
        for name, value in sorted(os.environ.items())
        if _FORWARDED.match(name) and name not in (*_SECRETS, "THYGAN_STUDY_KEY", "AWS_SESSION_TOKEN", API_VARIABLE)
    ]
    secret = {"name": "thygan-s3-gan-train", "optional": True}
    return variables + [{"name": key, "valueFrom": {"secretKeyRef": {**secret, "key": key}}} for key in _SECRETS]


def _node_counts(wanted: Mapping[str, str]) -> tuple[int, int]:
    if unknown := sorted(wanted.keys() - _KEYS):
        raise ConfigError(f"train_job has the unknown key {unknown[0]!r}: use {', '.join(sorted(_KEYS))}.")
    counts = [str(wanted.get(name, default)) for name, default in (("nodes", ""), ("gpus", "1"))]
    if not all(count.isdigit() for count in counts) or int(counts[0]) < 2:
        raise ConfigError('train_job needs at least two nodes: write {"nodes": "2", "gpus": "8"}.')
    return int(counts[0]), int(counts[1])


def _wait(cluster: "_Kubernetes", name: str, limit_s: float) -> None:
    """Waits for the end of the job; raises TrainingError unless it is complete."""
    start_s, last_line = time.monotonic(), ""
    while True:
        status = cluster.get(name).get("status", {})
        conditions = {entry["type"]: entry for entry in status.get("conditions", []) if entry.get("status") == "True"}
        if "Complete" in conditions:
            log(f"TrainJob {name}: complete")
            return
        if failed := conditions.get("Failed"):
            raise TrainingError(
                f"TrainJob {name} failed ({failed.get('reason', '')}: {failed.get('message', '')}): read the "
                "logs of its pods; the next attempt resumes from its checkpoint."
            )
        jobs = ", ".join(
            f"{entry['name']}: {entry.get('ready', 0)} ready, {entry.get('failed', 0)} failed"
            for entry in status.get("jobsStatus", [])
        )
        if jobs != last_line:
            log(f"TrainJob {name}: {jobs}")
            last_line = jobs
        if time.monotonic() - start_s > limit_s:
            raise TrainingError(f"TrainJob {name} is not done after {limit_s / 3600:g} h: give train_job more hours.")
        time.sleep(_POLL_S)


class _Kubernetes:
    """The TrainJobs of this pod's namespace, through the API server and the pod's own account."""

    def __init__(self) -> None:
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        base = os.environ.get(API_VARIABLE) or (f"https://{host}:{port}" if host else "")
        if not base:
            raise ConfigError("train_job needs a cluster with Kubeflow Trainer; on this machine, train with torchrun.")
        if not os.environ.get(IMAGE_VARIABLE):
            raise ConfigError(f"{IMAGE_VARIABLE} is not set, so the nodes have no image: compiled pipelines set it.")
        certificate = ACCOUNT / "ca.crt"
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(_TIMEOUT_S), ca_certs=str(certificate) if certificate.exists() else None
        )
        namespace = ACCOUNT / "namespace"
        space = namespace.read_text().strip() if namespace.exists() else "thygan"
        self._url = f"{base}/apis/{GROUP}/namespaces/{space}/{KIND}"

    def create(self, job: dict[str, Any]) -> None:
        """Creates the job; one of the same name belongs to an earlier attempt and is used instead."""
        self._request("POST", "", job, allowed=(409,))

    def get(self, name: str) -> dict[str, Any]:
        """The job with its status."""
        return self._request("GET", f"/{name}")

    def delete(self, name: str) -> None:
        """Deletes the job with its pods, if it exists."""
        self._request("DELETE", f"/{name}?propagationPolicy=Background", allowed=(404,))

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None, allowed: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        token = ACCOUNT / "token"  # read every time: it changes every hour
        headers = {"Authorization": f"Bearer {token.read_text().strip()}"} if token.exists() else {}
        for left in range(_RETRIES, -1, -1):
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
        reply = re.sub(r"\s+", " ", answer.data.decode(errors="replace"))[:300]
        raise TrainingError(
            f"The cluster refuses to {method} {KIND}{path.partition('?')[0]} ({answer.status}): is Kubeflow Trainer v2 "
            f"installed, and may this account use it? The reply: {reply}"
        )
