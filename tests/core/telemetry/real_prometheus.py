"""A real Prometheus and Pushgateway on loopback, of Debian's packages prometheus and prometheus-pushgateway."""

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import suppress

import pytest
import yaml

WAIT_S = 300  # a busy machine's


def program(name):
    """Its path; skips where it is not installed."""
    found = shutil.which(name)
    if not found:
        package = "prometheus-pushgateway" if "gateway" in name else "prometheus"
        pytest.skip(f"skipped: {name} is not here; apt-get install {package} brings it")
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def eventually(ask, what):
    """What `ask` returns once it is true; fails where that takes too long."""
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up:
        with suppress(OSError):
            if got := ask():
                return got
        time.sleep(0.2)
    pytest.fail(f"{what}: not within {WAIT_S} s")
    return None


def fetch(url):
    """What lies at an address of this machine."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310
        return answer.read().decode()


class Gateway:
    """A Pushgateway."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        log = (folder / "gateway.log").open("w")
        options = {
            "web.listen-address": f"127.0.0.1:{self.port}",
            "persistence.file": folder / "outcomes",  # Debian's own is shared by all that ever ran
        }
        command = [program("prometheus-pushgateway"), *(f"--{name}={value}" for name, value in options.items())]
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually(lambda: fetch(f"{self.url}/-/ready"), "the Pushgateway answers")

    def text(self):
        """What it would show a Prometheus."""
        return fetch(f"{self.url}/metrics")

    def stop(self):
        self._process.kill()
        self._process.wait()


class Prometheus:
    """A Prometheus that scrapes and evaluates every second."""

    def __init__(self, folder, jobs, rules=None):
        folder.mkdir(exist_ok=True)
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": jobs}
        if rules:
            (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
            config["rule_files"] = ["rules.yaml"]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        checked = [program("promtool"), "check", "config", folder / "prometheus.yaml"]
        assert subprocess.run(checked, capture_output=True).returncode == 0
        self.url = f"http://127.0.0.1:{free_port()}"
        log = (folder / "prometheus.log").open("w")
        options = {
            "config.file": folder / "prometheus.yaml",
            "storage.tsdb.path": folder / "data",
            "web.listen-address": self.url.removeprefix("http://"),
        }
        command = [program("prometheus"), *(f"--{name}={value}" for name, value in options.items())]
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually(lambda: fetch(f"{self.url}/-/ready"), "Prometheus answers")

    def get(self, path):
        """The data of an answer of its API."""
        return json.loads(fetch(f"{self.url}/api/v1/{path}"))["data"]

    def query(self, expression):
        """Vector: [{"metric": labels, "value": [time, text]}]."""
        return self.get("query?" + urllib.parse.urlencode({"query": expression}))["result"]

    def stop(self):
        self._process.kill()
        self._process.wait()
