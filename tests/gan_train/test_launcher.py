"""A training in several processes of a pod, and on nodes of a TrainJob whose controller here runs what it is given."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.core.errors import ConfigError, TrainingError
from components.core.store import open_store
from components.gan_train import train_job
from components.gan_train.launcher import run as launch
from components.gan_train.launcher import train_in_processes

sys.path.insert(0, str(Path(__file__).parent))
from trainings import arguments, paths

pytest_plugins = ["tests.core.real_s3"]
ROOT = Path(__file__).parents[2]
SMALL = {
    "batch": 8, "channel_base": 128, "channel_max": 16, "mapping_layers": 2, "latent_dim": 16, "gamma": 0.1,
    "kimg": 0.08, "snapshot_kimg": 0.04, "device": "cpu", "threads": 1,
}  # fmt: skip


def options(folder, dataset, **others):
    return {"dataset": dataset, **paths(folder), **arguments(**{**SMALL, **others})}


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_the_gpus_of_a_pod_are_processes_of_one_training(toy_archive, tmp_path):
    train_in_processes(2, **options(tmp_path, toy_archive))
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["processes"] == 2
    assert record["kimg"] == pytest.approx(0.08)


def test_processes_that_fail_fail_the_stage(toy_archive, tmp_path, capfd):
    with pytest.raises(TrainingError, match="2 processes ended with status"):
        train_in_processes(2, **options(tmp_path, toy_archive, batch=10_000))
    assert "fewer than one batch" in capfd.readouterr().err
    assert not (tmp_path / "record.json").exists()


class Trainer:
    """Kubeflow Trainer, as far as a TrainJob sees it: starts each node's command and tells how it ended."""

    def __init__(self, environment):
        self.jobs, self.made, self.deleted, self._environment = {}, [], [], environment

    def create(self, job):
        name = job["metadata"]["name"]
        self.jobs[name] = {**job, "status": {"jobsStatus": [{"name": "node", "ready": 0}]}}
        self.made.append(job)
        threading.Thread(target=self._run, args=(name, job["spec"]["trainer"]), daemon=True).start()

    def _run(self, name, trainer):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        given = {one["name"]: one.get("value", self._environment.get(one["name"], "")) for one in trainer["env"]}
        nodes = []
        for rank in range(trainer["numNodes"]):
            plugin = {
                "PET_NNODES": trainer["numNodes"], "PET_NPROC_PER_NODE": trainer["numProcPerNode"],
                "PET_NODE_RANK": rank, "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": port,
            }  # fmt: skip
            own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "THYGAN_"))}
            environment = own | given | {name: str(value) for name, value in plugin.items()}
            command = [sys.executable, *trainer["command"][1:]]
            nodes.append(subprocess.Popen(command, env=environment, cwd=ROOT))
        codes = [node.wait() for node in nodes]
        kind = "Failed" if any(codes) else "Complete"
        ended = {"type": kind, "status": "True", "reason": "Test", "message": f"exit statuses {codes}"}
        self.jobs[name]["status"] = {"conditions": [ended]}


@pytest.fixture
def trainer(s3, monkeypatch):
    """Its API on loopback."""
    trainer = Trainer({"AWS_ACCESS_KEY_ID": s3.key, "AWS_SECRET_ACCESS_KEY": s3.secret})

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            trainer.create(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._send(201, {})

        def do_GET(self):
            self._send(200, trainer.jobs[self._name()])

        def do_DELETE(self):
            known = trainer.jobs.pop(self._name(), None)
            trainer.deleted.append(self._name())
            self._send(200 if known else 404, {})

        def _name(self):
            pattern = r"/apis/trainer\.kubeflow\.org/v1alpha1/namespaces/thygan/trainjobs/([a-z0-9-]+)(\?.*)?"
            return re.fullmatch(pattern, self.path)[1]

        def _send(self, status, value):
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv(train_job.API_VARIABLE, f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv(train_job.IMAGE_VARIABLE, "registry.example/python-gan-train:v1")
    monkeypatch.setattr(train_job, "_POLL_S", 0.2)
    yield trainer
    server.shutdown()
    server.server_close()


def test_nodes_train_and_the_task_writes_it_down(trainer, toy_archive, bucket, s3, tmp_path, capfd):
    launch(**options(tmp_path, toy_archive, checkpoint_uri=bucket, train_job={"nodes": "2", "gpus": "0"}))
    record = json.loads((tmp_path / "record.json").read_text())
    said = capfd.readouterr().out
    assert record["kimg"] == pytest.approx(0.08)
    assert "The training resumes at 0.08 kimg" in said, "nothing is left to train for the task"
    assert sorted(one.name for one in (tmp_path / "snapshots").glob("*.safetensors"))[-1].endswith("0.080.safetensors")
    (job,) = trainer.made
    assert trainer.deleted == [job["metadata"]["name"]]
    assert job["spec"]["trainer"]["image"] == "registry.example/python-gan-train:v1"
    assert s3.secret not in json.dumps(job)
    assert not [one for one in open_store(bucket).list() if one.name.startswith("jobs/")]


def test_nodes_that_fail_fail_the_stage_and_leave_no_job(trainer, toy_archive, bucket, tmp_path):
    given = options(tmp_path, toy_archive, checkpoint_uri=bucket, batch=10_000, train_job={"nodes": "2", "gpus": "0"})
    with pytest.raises(TrainingError, match=r"failed \(Test: exit statuses"):
        launch(**given)
    assert trainer.jobs == {}


@pytest.mark.parametrize(
    ("wanted", "uri", "sentence"),
    [
        ({"nodes": "2"}, "", "needs checkpoint_uri in a bucket"),
        ({"nodes": "1"}, "s3://b/x", "at least two nodes"),
        ({"nodes": "two"}, "s3://b/x", "at least two nodes"),
        ({"nodes": "2", "gpu": "8"}, "s3://b/x", "unknown key 'gpu'"),
    ],
)
def test_bad_nodes_are_one_sentence(wanted, uri, sentence, toy_archive, tmp_path):
    with pytest.raises(ConfigError, match=sentence):
        launch(**options(tmp_path, toy_archive, checkpoint_uri=uri, train_job=wanted))


def test_a_gpu_count_becomes_a_limit_of_each_node(monkeypatch):
    monkeypatch.setenv(train_job.IMAGE_VARIABLE, "i")
    job = train_job.train_job("n", {"nodes": "3", "gpus": "8", "gpu_type": "nvidia.com/gpu"}, 3, 8, "s3://b/job.json")
    trainer = job["spec"]["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (3, 8)
    assert trainer["resourcesPerNode"]["limits"]["nvidia.com/gpu"] == "8"
    assert job["spec"]["runtimeRef"]["name"] == "thygan-torch"
