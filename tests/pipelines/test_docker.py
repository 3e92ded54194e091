"""Stages in real containers: honest exit statuses, nothing but what a pod has, an object store over a named network."""

import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

import pytest
from kfp import dsl
from minio import Minio
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from components.core.errors import ConfigError
from components.kfp_component import image
from pipelines.local.docker import Containers
from pipelines.local.runner import StageError, run_locally
from tests.core.real_s3 import find_weed

docker = pytest.importorskip("docker")
IMAGE = image("tile")
KEYS = ("tester", secrets.token_hex(16))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def leave(status: int):
    import sys

    from components.core.errors import DataError

    if status == 1:
        raise DataError("The folder is empty: give one with images.")
    sys.exit(status)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def look(folder: str, found: dsl.Output[dsl.Artifact]):
    import json
    import os
    from pathlib import Path

    def writes(path: str) -> bool:
        try:
            Path(path).write_text("x")
        except OSError:
            return False
        return True

    status = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    seen = {
        "uid": os.getuid(),
        "root": writes("/etc/x") or writes("/opt/thygan/x"),
        "source": writes(f"{folder}/x"),
        "tmp": writes(os.environ["HOME"] + "/x"),
        "reads": Path(f"{folder}/here.txt").read_text(),
        "capabilities": int(status["CapEff"], 16),
        "no_new_privileges": status["NoNewPrivs"],
        "routes": [line.split()[1] for line in Path("/proc/net/route").read_text().splitlines()[1:]],
        "key": len(os.environ.get("THYGAN_STUDY_KEY", "")),
        "beside": Path(f"{folder}/../secret.txt").exists(),
    }
    Path(found.path).write_text(json.dumps(seen))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def put(uri: str, found: dsl.Output[dsl.Artifact]):
    from pathlib import Path

    from components.core.store import open_store

    open_store(uri).write("from-a-container", b"hello")
    Path(found.path).write_text(Path("/proc/net/route").read_text())


@dsl.pipeline
def leaving(status: int):
    leave(status=status)


@dsl.pipeline
def looking(folder: str) -> dsl.Artifact:
    return look(folder=folder).outputs["found"]


@dsl.pipeline
def putting(uri: str) -> dsl.Artifact:
    return put(uri=uri).outputs["found"]


@pytest.fixture(scope="module")
def engine():
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException:
        pytest.skip('skipped: no container engine answers; eval "$(images/engine.sh up)" starts one')
    try:
        client.images.get(IMAGE)
    except docker.errors.ImageNotFound:
        pytest.skip(f"skipped: {IMAGE} is not built; python images/build.py tile builds it")
    yield client
    client.close()


def source_folder(folder):
    source = folder / "data" / "source"
    source.mkdir(parents=True)
    (source / "here.txt").write_text("an image")
    (source.parent / "secret.txt").write_text("not an argument")
    return str(source)


def run(pipeline, out, network="none", **arguments):
    return run_locally(pipeline, arguments, out, containers=Containers(pipeline, arguments, out, network))


@pytest.mark.parametrize("status", [1, 3, 7, 1, 3, 7])
def test_a_failing_container_fails_the_run(engine, tmp_path, status):
    with pytest.raises(StageError) as failed:
        run(leaving, tmp_path, status=status)
    if status == 1:
        assert str(failed.value) == "stage leave failed: The folder is empty: give one with images."
    else:
        assert f"exit status {status}" in str(failed.value)
    assert not engine.containers.list(all=True, filters={"label": f"thygan.out={tmp_path}"})


def test_a_good_container_passes_and_its_whole_output_is_in_a_log(engine, tmp_path):
    run(leaving, tmp_path, status=0)
    (log,) = tmp_path.glob("logs/*/*-leave.log")
    assert "KFP Executor" in log.read_text()


def test_a_container_has_what_a_pod_has(engine, tmp_path):
    seen = json.loads(Path(run(looking, tmp_path / "out", folder=source_folder(tmp_path)).output.path).read_text())
    assert seen == {
        "uid": os.getuid() or 65532,
        "root": False,
        "source": False,
        "tmp": True,
        "reads": "an image",
        "capabilities": 0,
        "no_new_privileges": "1",
        "routes": [],
        "key": 0,
        "beside": False,
    }


def test_the_study_key_reaches_a_stage_as_a_value(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("THYGAN_STUDY_KEY_FILE", str(tmp_path / "study.key"))
    seen = json.loads(Path(run(looking, tmp_path / "out", folder=source_folder(tmp_path)).output.path).read_text())
    assert seen["key"] == len((tmp_path / "study.key").read_text())


def test_what_a_killed_run_left_is_removed(engine, tmp_path):
    left = engine.containers.run(IMAGE, ["sleep", "600"], detach=True, labels={"thygan.out": str(tmp_path)})
    run(leaving, tmp_path, status=0)
    with pytest.raises(docker.errors.NotFound):
        engine.containers.get(left.id)


@pytest.fixture
def store(engine, tmp_path, monkeypatch):
    """A real S3 server in a container on a network that leads nowhere else."""
    name = f"thygan-test-{secrets.token_hex(4)}"
    network = engine.networks.create(name, internal=True)
    identity = {"name": "test", "actions": ["Admin", "Read", "Write", "List"]}
    identity["credentials"] = [{"accessKey": KEYS[0], "secretKey": KEYS[1]}]
    (tmp_path / "identities.json").write_text(json.dumps({"identities": [identity]}))
    server = engine.containers.run(
        IMAGE,
        ["/weed", "mini", "-dir=/tmp", "-s3.port=8333", "-s3.config=/identities.json", "-master.telemetry=false"],
        volumes={
            str(Path(find_weed()).resolve()): {"bind": "/weed", "mode": "ro"},
            str(tmp_path / "identities.json"): {"bind": "/identities.json", "mode": "ro"},
        },
        user="0",
        environment={"GOMEMLIMIT": "400MiB"},
        network=name,
        detach=True,
    )
    try:
        server.reload()
        address = server.attrs["NetworkSettings"]["Networks"][name]["IPAddress"]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{address}:8333")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS[1])
        client = Minio(f"{address}:8333", *KEYS, secure=False)
        for _ in range(60):
            with suppress(MinioException, HTTPError):
                client.make_bucket("kept")
                break
            time.sleep(0.5)
        assert client.bucket_exists("kept")
        yield name, client
    finally:
        server.remove(force=True)
        network.remove()


def test_a_named_network_reaches_the_store_and_nothing_else(store, tmp_path):
    network, client = store
    made = run(putting, tmp_path, network, uri="s3://kept/results")
    assert client.get_object("kept", "results/from-a-container").read() == b"hello"
    routes = [line.split()[1] for line in Path(made.output.path).read_text().splitlines()[1:]]
    assert routes and "00000000" not in routes, "its own network, and no way out of it"


def test_a_bucket_without_a_network_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ConfigError, match=r"no network to reach s3://kept/results: name one that can by --network"):
        Containers(putting, {"uri": "s3://kept/results"}, tmp_path)


def test_no_engine_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    with pytest.raises(ConfigError, match="No container engine answers: start Docker"):
        Containers(leaving, {"status": 0}, tmp_path)


def test_an_image_that_is_nowhere_is_one_sentence(engine, tmp_path):
    @dsl.component(base_image="localhost:1/python-nothing:src-0", install_kfp_package=False)
    def nothing():
        pass

    @dsl.pipeline
    def missing():
        nothing()

    with pytest.raises(ConfigError, match="localhost:1/python-nothing:src-0 is neither here nor in its registry"):
        Containers(missing, {}, tmp_path)
