"""Who can talk to whom: the policies as a cluster's network would apply them, against a table of what must be so."""

import ipaddress
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from overlays import pods

STAGE = {"workflows.argoproj.io/workflow": "study-x7", "app.kubernetes.io/part-of": "thygan"}
DRIVER = {"workflows.argoproj.io/workflow": "study-x7", "pipelines.kubeflow.org/v2_component": "true"}
TRAINER = {"jobset.sigs.k8s.io/jobset-name": "gan", "app.kubernetes.io/part-of": "thygan"}
STRANGER = {"app": "notebook"}
UI_ARTIFACT = {"app": "ml-pipeline-ui-artifact"}


def upkeep(name):
    return {"app.kubernetes.io/part-of": "thygan", "app.kubernetes.io/name": name}


STORE, GATEWAY = upkeep("store"), upkeep("pushgateway")
API, INTERNET, CLOUD_KEYS = "10.0.0.1", "93.184.215.14", "169.254.169.254"


class Network:
    """Pods of the namespace are labels, those of others are ("namespace", name), places outside are addresses."""

    def __init__(self, objects):
        self.policies = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy"]

    def lets(self, source, target, port):
        return self._allows("egress", source, target, port) and self._allows("ingress", target, source, port)

    def _allows(self, way, pod, other, port):
        if not isinstance(pod, dict):
            return True  # another namespace's and the world's own policies
        mine = [one for one in self.policies if way.title() in one["policyTypes"] and _matches(one["podSelector"], pod)]
        assert mine, "the namespace denies by default"
        rules = [rule for one in mine for rule in one.get(way, [])]
        return any(_is_port(rule, port) and _is_peer(rule, way, other) for rule in rules)


def _is_port(rule, port):
    return not rule.get("ports") or port in [one["port"] for one in rule["ports"]]


def _is_peer(rule, way, other):
    peers = rule.get("to" if way == "egress" else "from", [])
    return not peers or any(_is_one(peer, other) for peer in peers)


def _is_one(peer, other):
    if isinstance(other, str):
        block = peer.get("ipBlock", {"cidr": "0.0.0.0/32"})
        within = [ipaddress.ip_address(other) in ipaddress.ip_network(one) for one in block.get("except", [])]
        return ipaddress.ip_address(other) in ipaddress.ip_network(block["cidr"]) and not any(within)
    if isinstance(other, tuple):
        return peer.get("namespaceSelector", {}).get("matchLabels", {}) == {"kubernetes.io/metadata.name": other[1]}
    return "podSelector" in peer and "namespaceSelector" not in peer and _matches(peer["podSelector"], other)


def _matches(selector, labels):
    fits = {
        "In": lambda one: labels.get(one["key"]) in one["values"],
        "NotIn": lambda one: labels.get(one["key"]) not in one["values"],
        "Exists": lambda one: one["key"] in labels,
        "DoesNotExist": lambda one: one["key"] not in labels,
    }
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(fits[one["operator"]](one) for one in selector.get("matchExpressions", []))


MONITORING, KUBEFLOW, DNS = ("namespace", "monitoring"), ("namespace", "kubeflow"), ("namespace", "kube-system")
OPEN = [
    ("gpu", STAGE, STORE, 9000),
    ("gpu", STAGE, GATEWAY, 9091),
    ("gpu", STAGE, KUBEFLOW, 8887),
    ("gpu", DRIVER, KUBEFLOW, 8080),
    ("gpu", DRIVER, API, 6443),
    ("gpu", STAGE, DNS, 53),
    ("gpu", MONITORING, STAGE, 9400),
    ("gpu", MONITORING, TRAINER, 9400),
    ("gpu", MONITORING, GATEWAY, 9091),
    ("gpu", TRAINER, TRAINER, 45123),
    ("gpu", TRAINER, STORE, 9000),
    ("gpu", TRAINER, DNS, 53),
    ("gpu", STORE, STORE, 9000),
    ("gpu", upkeep("buckets"), STORE, 9000),
    ("gpu", upkeep("identities"), STORE, 9000),
    ("gpu", upkeep("weights"), STORE, 9000),
    ("gpu", upkeep("weights"), INTERNET, 443),
    ("gpu", upkeep("usage"), STORE, 9000),
    ("gpu", upkeep("usage"), GATEWAY, 9091),
    ("gpu", KUBEFLOW, STORE, 9000),
    ("gpu", KUBEFLOW, UI_ARTIFACT, 3000),
    ("gpu", UI_ARTIFACT, STORE, 9000),
    ("local", STAGE, STORE, 9000),
    ("prod", STAGE, "192.0.2.7", 443),
    ("prod", TRAINER, "192.0.2.7", 443),
    ("prod", upkeep("buckets"), "192.0.2.7", 443),
]
CLOSED = [
    *((overlay, STAGE, INTERNET, 443) for overlay in ("local", "gpu", "prod")),
    *((overlay, STAGE, CLOUD_KEYS, 80) for overlay in ("local", "gpu", "prod")),
    ("gpu", STAGE, STAGE, 9400),
    ("gpu", STAGE, TRAINER, 45123),
    ("gpu", TRAINER, INTERNET, 443),
    ("gpu", TRAINER, API, 6443),
    ("gpu", STRANGER, STORE, 9000),
    ("gpu", STRANGER, STAGE, 9400),
    ("gpu", ("namespace", "default"), STORE, 9000),
    ("gpu", ("namespace", "default"), GATEWAY, 9091),
    ("gpu", MONITORING, STORE, 9000),
    ("gpu", GATEWAY, STORE, 9000),
    ("gpu", STORE, INTERNET, 443),
    ("gpu", upkeep("usage"), INTERNET, 443),
    ("gpu", upkeep("weights"), CLOUD_KEYS, 443),
    ("gpu", upkeep("weights"), API, 443),
    ("gpu", upkeep("gpu-smoke"), STORE, 9000),
    ("prod", GATEWAY, "192.0.2.7", 443),
    ("prod", STRANGER, "192.0.2.7", 443),
]


@pytest.mark.parametrize(("overlay", "source", "target", "port"), OPEN)
def test_what_needs_each_other_talks(of_overlay, overlay, source, target, port):
    assert Network(of_overlay(overlay)).lets(source, target, port)


@pytest.mark.parametrize(("overlay", "source", "target", "port"), CLOSED)
def test_nobody_else_does(of_overlay, overlay, source, target, port):
    assert not Network(of_overlay(overlay)).lets(source, target, port)


def test_every_workload_has_a_policy_of_its_own(objects):
    named = [one for one in objects if one["kind"] == "NetworkPolicy" and one["spec"]["podSelector"]]
    for one, template in pods(objects):
        labels = template["metadata"]["labels"]
        assert any(_matches(each["spec"]["podSelector"], labels) for each in named), one["metadata"]["name"]
