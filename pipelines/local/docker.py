"""The stages in their real images: `thygan run --runner docker`, through kfp.local's DockerRunner.

kfp 2.17 starts containers that remove themselves, and takes one that has vanished for a success: failing stages pass.
Here a container stays until its exit status is known. It also gets what a pod has: a read-only root, a user that is not
root, no capabilities, and no network unless one is named; it reads only what the arguments name.
"""

import codecs
import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.types import DeviceRequest, Mount
from kfp.local import docker_task_handler

from components.core.errors import ConfigError
from components.core.protocol.lineage import KEY_FILE_VARIABLE, KEY_VARIABLE, study_key
from components.core.runtime.progress import log
from components.core.store import is_bucket
from components.kfp_runtime import OBJECTS_VARIABLE, STORE_VARIABLE
from pipelines.local.task_logs import TaskLogs

IMAGE_USER = 65532
NO_NETWORK = "none"
_VARIABLE_PREFIXES = ("THYGAN_", "AWS_")
_LABEL = "thygan.out"


class Containers:
    """The containers of one run's tasks."""

    def __init__(self, pipeline: Any, arguments: Mapping[str, Any], out: Path, network: str = NO_NETWORK) -> None:
        """Checks that an engine answers and that every image exists, before anything runs.

        Args:
            pipeline: A KFP pipeline.
            arguments: Its parameters; folders and files among them, in groups too, are mounted read-only under the
                same path.
            out: Folder of the run; stages write in `out/artifacts`.
            network: The engine's network, to reach an object store; "none" = containers have no network.

        Raises:
            ConfigError: There is no engine, no image, or a bucket and no network.
        """
        self._out, self._network = out, network
        self._environment = _environment()
        buckets = [value for value in _texts([arguments, self._environment]) if is_bucket(value)]
        if buckets and network == NO_NETWORK:
            raise ConfigError(f"Containers have no network to reach {buckets[0]}: name one that can by --network NAME.")
        self._client = _engine()
        for name in _images(pipeline):
            _pull(self._client, name)
        shared, selection = arguments.get("shared", {}), arguments.get("selection", {})
        writable = {shared.get("checkpoint_uri"), selection.get("cache_uri")}
        writable |= {self._environment.get(name) for name in (STORE_VARIABLE, OBJECTS_VARIABLE)}
        self._mounts = [
            Mount(path, path, type="bind", read_only=path not in writable)
            for path in sorted(set(_paths([arguments, self._environment])))
        ]
        self._gpus = self._gpu_options(str(shared.get("device", "cpu")))
        self._user = f"{os.getuid()}:{os.getgid()}" if os.getuid() else f"{IMAGE_USER}:{IMAGE_USER}"

    @contextlib.contextmanager
    def run_tasks(self, task_logs: TaskLogs) -> Iterator[None]:
        """Runs kfp's tasks in the place of its `run_docker_container`; no container is left, however the block ends."""
        stock = docker_task_handler.run_docker_container
        self._remove_all()  # of a run that was killed in the same folder
        self._make_writable()

        def run(client: Any, image: str, command: list[str], volumes: dict[str, Any], **_: Any) -> int:
            return self._run(task_logs, client, image, command, volumes)

        docker_task_handler.run_docker_container = run
        try:
            yield
        finally:
            docker_task_handler.run_docker_container = stock
            self._remove_all()
            self._client.close()

    def _run(self, task_logs: TaskLogs, client: Any, image: str, command: list[str], volumes: dict[str, Any]) -> int:
        try:
            container = client.containers.run(
                image,
                command,
                detach=True,
                environment=self._environment | task_logs.environment,
                volumes=volumes,
                mounts=self._mounts,
                user=self._user,
                read_only=True,
                tmpfs={"/tmp": "rw,exec,nosuid,nodev,mode=1777"},  # noqa: S108 - a file system of the container's own
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                network=self._network,
                shm_size="1g",
                labels={_LABEL: str(self._out)},
                **self._gpus,
            )
            try:
                lines = _lines(container.logs(stream=True, follow=True))
                return task_logs.follow(command, lines, lambda: container.wait()["StatusCode"])
            finally:
                container.remove(force=True)
        except APIError as error:
            return task_logs.follow(
                command, [], lambda: 125, f"its container cannot be run: {error.explanation or error}"
            )

    def _gpu_options(self, device: str) -> dict[str, Any]:
        """Options for all GPUs, where the device is cuda, or auto and the engine has NVIDIA's runtime."""
        if device == "cpu" or (device == "auto" and "nvidia" not in self._client.info().get("Runtimes", {})):
            return {}
        if any("podman" in one["Name"].lower() for one in self._client.version().get("Components", [])):
            return {"devices": ["nvidia.com/gpu=all"]}
        return {"device_requests": [DeviceRequest(count=-1, capabilities=[["gpu"]])]}

    def _make_writable(self) -> None:
        """Makes the folders that stages write to the image user's, where we are root and stages are not."""
        folders = [self._out / "artifacts", *(Path(one["Target"]) for one in self._mounts if not one["ReadOnly"])]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            if os.getuid() == 0:
                os.chown(folder, IMAGE_USER, IMAGE_USER)

    def _remove_all(self) -> None:
        for container in self._client.containers.list(all=True, filters={"label": f"{_LABEL}={self._out}"}):
            with contextlib.suppress(APIError):
                container.remove(force=True)


def _engine() -> Any:
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        raise ConfigError(
            "No container engine answers: start Docker, or set DOCKER_HOST to the socket of one (on Debian without "
            f'Docker: eval "$(images/engine.sh up)"). {error}'
        ) from None
    return client


def _images(pipeline: Any) -> list[str]:
    """Every image that the pipeline's tasks run in."""
    executors = pipeline.pipeline_spec.deployment_spec["executors"].values()
    return sorted({executor["container"]["image"] for executor in executors})


def _pull(client: Any, name: str) -> None:
    """Pulls an image that the engine does not have."""
    try:
        client.images.get(name)
    except ImageNotFound:
        log(f"pulling {name}")
        try:
            client.images.pull(name)
        except APIError:
            raise ConfigError(
                f"The image {name} is neither here nor in its registry: build it (images/README.md), or name a "
                "published version by THYGAN_REGISTRY and THYGAN_TAG."
            ) from None


def _environment() -> dict[str, str]:
    """Variables that stages get of this environment; the study key as a value, since only the owner reads its file."""
    variables = {name: value for name, value in os.environ.items() if name.startswith(_VARIABLE_PREFIXES)}
    if variables.pop(KEY_FILE_VARIABLE, None):
        variables[KEY_VARIABLE] = study_key().decode()
    return variables


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, list | tuple):
            yield from _texts(value)


def _paths(values: Iterable[Any]) -> Iterator[str]:
    """Folders and files of this machine."""
    for text in _texts(values):
        if text.startswith("/") and text.strip("/") and Path(text).exists():
            yield text


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Whole lines out of what arrives in pieces."""
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    for chunk in chunks:
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from (f"{line}\n" for line in lines)
    if rest:
        yield rest
