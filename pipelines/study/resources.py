"""The resources of each stage on a cluster: one table, applied through kfp-kubernetes; kfp.local ignores all of it.

A pod's environment comes from the namespace, under these names:

    ConfigMap thygan             AWS_ENDPOINT_URL, AWS_REGION, THYGAN_STORE, THYGAN_ARCHIVES,
                                 THYGAN_PUSHGATEWAY, THYGAN_WEIGHTS_MIRROR
    Secret thygan-s3-STAGE       AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: what this stage may read and write
    Secret thygan-study-key      THYGAN_STUDY_KEY: for the tile stage alone, which makes identities
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp import dsl, kubernetes

from components.core.data.archive_reference import ARCHIVES_VARIABLE
from components.core.protocol.lineage import KEY_VARIABLE
from components.core.runtime.logs import RUN_VARIABLE
from components.core.telemetry.outcome import GATEWAY_VARIABLE
from components.kfp_component import TAG_VARIABLE, code_tag, image
from components.kfp_runtime import STORE_VARIABLE

HOUR = 3600
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a mount point
SETTINGS, STUDY_KEY = "thygan", "thygan-study-key"
FROM_SETTINGS = (
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    STORE_VARIABLE,
    ARCHIVES_VARIABLE,
    GATEWAY_VARIABLE,
    "THYGAN_WEIGHTS_MIRROR",
)
USER = 65532  # the images'; KFP itself lets a stage's container be root, which a restricted namespace refuses
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
LONGEST_RUN_S, KEPT_AFTER_S = 30 * 24 * HOUR, 7 * 24 * HOUR  # of a whole run; of its finished workflow


@dataclass(frozen=True)
class Resources:
    """Requests and limits of a stage's pod.

    Attributes:
        cpu: Requested cores; the limit is twice as many.
        memory: Requested GiB and the limit, shared memory included.
        gpus: Parameter with the number of GPUs; '' = none.
        shm: GiB of /dev/shm, through which data loaders pass tiles; 0 = the runtime's 64 MiB.
        hours: Longest time of an attempt.
        retries: Further attempts after a failure, a minute and more apart.
        spot: Whether it tolerates nodes that can be taken away: it is short, or resumes from its checkpoint.
    """

    cpu: int
    memory: int
    gpus: str = ""
    shm: int = 0
    hours: float = 4
    retries: int = 2
    spot: bool = True


RESOURCES = {
    "tile": Resources(cpu=8, memory=16, hours=24),
    "split": Resources(cpu=1, memory=4, hours=1),
    "pack": Resources(cpu=4, memory=8, hours=6),
    "gan_train": Resources(cpu=8, memory=48, gpus="train_gpu_count", shm=16, hours=14 * 24, retries=5),
    "fid_select": Resources(cpu=8, memory=32, gpus="gpu_count", shm=8, hours=24),
    "generate": Resources(cpu=8, memory=32, gpus="gpu_count", shm=8, hours=12),
    "classifier_cv": Resources(cpu=8, memory=32, gpus="gpu_count", shm=8, hours=72),
    "external_eval": Resources(cpu=8, memory=32, gpus="gpu_count", shm=8, hours=12),
    "umap": Resources(cpu=8, memory=32, gpus="gpu_count", shm=8, hours=6),
    "report": Resources(cpu=2, memory=8, hours=2),
    "outcome": Resources(cpu=1, memory=1, hours=0.2, spot=False),
}

OTHER_TASK = Resources(cpu=1, memory=2, hours=1)  # of a task that is not a stage


def schedule(inputs: Mapping[str, Any], *tasks: dsl.PipelineTask) -> None:
    """Gives tasks the resources of their stages.

    Args:
        inputs: The pipeline's channels by name, those of the pools among them.
        tasks: Tasks of the same pipeline.
    """
    for task in tasks:
        _schedule(inputs, task, task.component_spec.name.replace("-", "_"))


def _schedule(inputs: Mapping[str, Any], task: dsl.PipelineTask, stage: str) -> None:
    resources = RESOURCES.get(stage, OTHER_TASK)
    task.set_cpu_request(str(resources.cpu)).set_cpu_limit(str(2 * resources.cpu))
    task.set_memory_request(f"{resources.memory}Gi").set_memory_limit(f"{resources.memory}Gi")
    if resources.gpus:
        task.set_accelerator_type(inputs["gpu_type"]).set_accelerator_limit(inputs[resources.gpus])
        kubernetes.add_node_selector_json(task, inputs["gpu_node_selector"])
        kubernetes.add_node_affinity_json(task, inputs["gpu_affinity"])
        kubernetes.add_toleration(task, key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")
        kubernetes.add_toleration_json(task, inputs["gpu_tolerations"])
    else:
        kubernetes.add_node_selector_json(task, inputs["cpu_node_selector"])
    if resources.spot:
        kubernetes.add_toleration_json(task, inputs["spot_tolerations"])
    if resources.shm:
        kubernetes.empty_dir_mount(task, "dshm", SHARED_MEMORY, medium="Memory", size_limit=f"{resources.shm}Gi")
    kubernetes.set_timeout(task, int(resources.hours * HOUR))
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    task.set_retry(
        num_retries=resources.retries,
        backoff_duration="60s",
        backoff_factor=2,
        # Argo counts this from the first attempt's start, its work included: anything shorter than the run's own limit
        # would leave a stage that dies late, a training above all, without another attempt.
        backoff_max_duration=f"{LONGEST_RUN_S}s",
    )
    _set_environment(task, stage)
    _label(task, stage, resources)


def _set_environment(task: dsl.PipelineTask, stage: str) -> None:
    task.set_env_variable(TAG_VARIABLE, code_tag())  # part of the key of kept results
    if stage == "gan_train":
        task.set_env_variable("THYGAN_IMAGE", image(stage))  # for the nodes of a TrainJob
    names = {name: name for name in FROM_SETTINGS}
    kubernetes.use_config_map_as_env(task, SETTINGS, names, optional=True)
    secret = f"thygan-s3-{stage.replace('_', '-')}"
    kubernetes.use_secret_as_env(task, secret, {name: name for name in KEYS}, optional=True)  # or the pod's own role
    kubernetes.use_field_path_as_env(task, RUN_VARIABLE, "metadata.labels['pipeline/runid']")
    if stage == "tile":
        kubernetes.use_secret_as_env(
            task, STUDY_KEY, {KEY_VARIABLE: KEY_VARIABLE}, optional=True
        )  # the stage says what it lacks


def _label(task: dsl.PipelineTask, stage: str, resources: Resources) -> None:
    """Sets labels for policies, quotas, queues and metrics; only a long stage lives to be scraped."""
    kubernetes.add_pod_label(task, "app.kubernetes.io/part-of", "thygan")
    kubernetes.add_pod_label(task, "app.kubernetes.io/component", stage.replace("_", "-"))
    kubernetes.add_pod_label(task, "thygan/pool", "gpu" if resources.gpus else "cpu")
    if stage == "gan_train":
        kubernetes.add_pod_annotation(task, "prometheus.io/scrape", "true")
