"""The PodMonitor's relabelling, run by the real Prometheus over targets with the labels that a cluster's would have."""

import json
import re
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "core/telemetry"))
from real_prometheus import Prometheus, eventually

ROOT = Path(__file__).parents[2]
META = "__meta_kubernetes_pod_"


def container(name, component="gan-train", init="false", ip="10.1.2.3"):
    """The labels of a container without ports, as Prometheus finds it."""
    known = {"container_name": name, "container_init": init, "ip": ip}
    own = {"label_app_kubernetes_io_part_of": "thygan", "label_app_kubernetes_io_component": component}
    return {f"{META}{key}": value for key, value in (known | (own if component else {})).items()}


CONTAINERS = {
    "training": container("main"),
    "ipv6": container("main", ip="fd00::7"),
    "trainjob": container("node", ip="10.1.2.4"),
    "argo": container("wait"),
    "launcher": container("kfp-launcher", init="true"),
    "init-main": container("main", init="true"),
    "short-stage": container("main", component="pack"),
    "stranger": container("main", component=""),
}
FOUND = {
    "training": "http://10.1.2.3:9400/metrics",
    "ipv6": "http://[fd00::7]:9400/metrics",
    "trainjob": "http://10.1.2.4:9400/metrics",
}


def test_the_pod_monitor_finds_the_container_that_computes(tmp_path):
    """Its relabelling, as the operator hands it to Prometheus, over targets with a cluster's labels."""
    documents = yaml.safe_load_all((ROOT / "manifests/components/monitoring/monitors.yaml").read_text())
    spec = next(one for one in documents if one["kind"] == "PodMonitor")["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    targets = [
        {"targets": [f"{name}.invalid"], "labels": {**labels, "who": name}} for name, labels in CONTAINERS.items()
    ]
    (tmp_path / "targets.json").write_text(json.dumps(targets))
    job = {
        "job_name": "pods",
        "metrics_path": endpoint["path"],
        "file_sd_configs": [{"files": [str(tmp_path / "targets.json")]}],
        "relabel_configs": [*selecting(spec["selector"]), *(snake(one) for one in endpoint["relabelings"])],
    }
    prometheus = Prometheus(tmp_path / "prometheus", [job])
    try:
        eventually(lambda: prometheus.get("targets")["activeTargets"], "targets are found")
        told = prometheus.get("targets")
    finally:
        prometheus.stop()
    assert {one["labels"]["who"]: one["scrapeUrl"] for one in told["activeTargets"]} == FOUND
    assert len(told["droppedTargets"]) == len(CONTAINERS) - len(FOUND)


def selecting(selector):
    """A label selector as the operator writes it."""

    def label(name):
        return f"{META}label_" + re.sub(r"[^a-zA-Z0-9]", "_", name)

    for name, value in selector["matchLabels"].items():
        yield {"action": "keep", "source_labels": [label(name)], "regex": value}
    for one in selector["matchExpressions"]:
        assert one["operator"] == "In"
        yield {"action": "keep", "source_labels": [label(one["key"])], "regex": "|".join(one["values"])}


def snake(relabeling):
    """The operator's camelCase in Prometheus' own words."""
    return {re.sub("[A-Z]", lambda found: "_" + found[0].lower(), key): value for key, value in relabeling.items()}
