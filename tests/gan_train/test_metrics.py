"""A training watched by the real Prometheus: found as in a cluster, scraped, missed when it hangs and when it dies."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from components.core.telemetry.series import SERIES

sys.path.insert(0, str(Path(__file__).parents[1] / "core/telemetry"))
sys.path.insert(0, str(Path(__file__).parent))
from real_prometheus import Gateway, Prometheus, eventually, free_port
from trainings import words

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "manifests/components/monitoring"
SMALL = {"batch": 8, "channel_base": 128, "channel_max": 16, "latent_dim": 16, "gamma": 0.1, "device": "cpu"}
# A training whose step hangs, as a step hangs that waits for a lost GPU, once there is a file HANGS.
HANGING = """
import os, sys, time
from components.core.runtime.cli import stage_command
from components.gan_train import stage, trainer
from components.gan_train.options import SHARED, GanOptions
step = trainer.GanTrainer.step
def waiting(self, draws):
    while os.path.exists(os.environ["HANGS"]):
        time.sleep(0.1)
    return step(self, draws)
trainer.GanTrainer.step = waiting
stage_command(stage.run, "gan_train", GanOptions, SHARED)
"""
SECONDS = {
    "15m": "6s",
    "6h:1m": "60s:1s",
    "600": "4",
    "60": "1",
    "20m": "2s",
}  # the rules' times, for people in a hurry


class Training:
    """A training in a process of its own, small, with what it said."""

    def __init__(self, folder, dataset, kimg, **environment):
        folder.mkdir()
        self.hangs, self.said = folder / "hangs", folder / "said.txt"
        given = {"HANGS": self.hangs, "OMP_NUM_THREADS": "1", "PYTHONPATH": ROOT, "THYGAN_LOG": "json", **environment}
        options = words(
            dataset, folder, kimg=kimg, **SMALL, checkpoint_uri=folder / "checkpoints", checkpoint_minutes=0.02
        )
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", HANGING, *options],
                env={**os.environ, **{name: str(value) for name, value in given.items()}},
                stdout=said,
                stderr=said,
            )

    def address(self):
        """Where it says that its metrics are."""

        def heard():
            assert self.process.poll() is None, self.said.read_text()
            return re.search(r"metrics: http://([\d.:]+)/metrics", self.said.read_text())

        return eventually(heard, "the training says where its metrics are")[1]

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def watched(toy_archive, tmp_path_factory):
    """Two trainings told of the same port, a Pushgateway, and a Prometheus with the project's rules in a hurry."""
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as stack:
        gateway = Gateway(folder)
        stack.callback(gateway.stop)
        told = {"THYGAN_METRICS_PORT": free_port(), "THYGAN_PUSHGATEWAY": gateway.url}
        runs = {"long": 8, "short": 0.2}
        long, short = (
            Training(folder / run, toy_archive, kimg, THYGAN_RUN_ID=run, **told) for run, kimg in runs.items()
        )
        stack.callback(long.kill)
        stack.callback(short.kill)
        addresses = [long.address(), short.address()]
        jobs = [
            {"job_name": name, "honor_labels": True, "static_configs": [{"targets": targets}]}
            for name, targets in (("stages", addresses), ("gateway", [f"127.0.0.1:{gateway.port}"]))
        ]
        prometheus = Prometheus(folder / "prometheus", jobs, in_a_hurry())
        stack.callback(prometheus.stop)
        yield prometheus, gateway, long, short, addresses


def in_a_hurry():
    """The rules, their times shortened."""
    spec = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]
    hurried = re.compile("|".join(rf"\b{re.escape(time)}\b" for time in sorted(SECONDS, key=len, reverse=True)))
    for rule in spec["groups"][0]["rules"]:
        if rule["alert"] in ("ThyganTrainingStalled", "ThyganTrainingAbsent"):
            rule["expr"] = hurried.sub(lambda found: SECONDS[found[0]], rule["expr"])
            rule["for"] = SECONDS[rule["for"]]
    return spec


def firing(prometheus, alert):
    return [
        one
        for one in prometheus.get("alerts")["alerts"]
        if one["labels"]["alertname"] == alert and one["state"] == "firing"
    ]


def test_two_stages_on_one_machine_show_two_addresses(watched):
    *_, addresses = watched
    assert len(set(addresses)) == 2


def test_prometheus_sees_every_number_of_a_training(watched):
    prometheus, _, long, *_ = watched
    of_training = {one.name for one in SERIES if one.stages == ("gan_train",)} | {"thygan_images_per_second"}
    late = {"thygan_gan_thumbnail_recall", "thygan_gan_thumbnail_distance"}  # at snapshots, far apart
    for name in of_training - late:
        found = eventually(lambda name=name: prometheus.query(f'{name}{{run="long"}}'), name)
        labels = {"pipeline": "thygan-study", "run": "long", "stage": "gan_train", "scheme": "binary", "fold": "3"}
        assert labels.items() <= found[0]["metric"].items()
    rate = eventually(lambda: prometheus.query("thygan_images_per_second * thygan_gan_sec_per_kimg"), "a pace")
    assert float(rate[0]["value"][1]) == pytest.approx(1000)
    assert float(prometheus.query('thygan_gan_checkpoint_age_seconds{run="long"}')[0]["value"][1]) < 60
    assert long.process.poll() is None


def test_the_end_of_a_training_is_told(watched):
    prometheus, gateway, _, short, _ = watched
    assert short.process.wait(120) == 0, short.said.read_text()
    assert re.search(r'thygan_stage_succeeded\{.*stage="gan_train"\} 1', gateway.text())
    eventually(lambda: prometheus.query('thygan_stage_last_success_timestamp_seconds{stage="gan_train"}'), "a success")
    events = [json.loads(line) for line in short.said.read_text().splitlines()]
    assert {one["run"] for one in events} == {"short"} and events[-1]["fold"] == "3"


def test_a_hanging_training_fires_its_alert_which_ends_when_it_goes_on(watched):
    prometheus, _, long, *_ = watched
    long.hangs.touch()
    (alert,) = eventually(lambda: firing(prometheus, "ThyganTrainingStalled"), "the alert fires")
    assert (alert["labels"]["fold"], alert["labels"]["run"]) == ("3", "long")
    assert alert["annotations"]["runbook_url"].endswith("#alert-thygantrainingstalled")
    long.hangs.unlink()
    eventually(lambda: not firing(prometheus, "ThyganTrainingStalled"), "the alert ends")


def test_a_training_killed_without_a_word_fires_its_alert(watched):
    prometheus, _, long, *_ = watched
    long.process.send_signal(signal.SIGKILL)
    (alert,) = eventually(lambda: firing(prometheus, "ThyganTrainingAbsent"), "the alert fires")
    assert alert["labels"]["run"] == "long"
