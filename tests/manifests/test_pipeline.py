"""What a compiled study asks of its namespace is what the manifests give it."""

import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from overlays import ROOT

from components.cluster_admin.identities import build_secrets, draw_identities
from components.core.telemetry.series import LONG

WITHOUT_KEYS = {"thygan-s3-outcome"}  # optional: it touches no bucket


@pytest.fixture(scope="module")
def executors():
    """Kubernetes settings of each executor of the compiled study, by its name."""
    documents = yaml.safe_load_all((ROOT / "pipelines/compiled/study.yaml").read_text())
    platform = next(one for one in documents if "platforms" in one)
    return platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def _key(entry, *names):
    """A name that KFP writes as text, or as a constant parameter."""
    value = next(entry[name] for name in names if name in entry)
    return value if isinstance(value, str) else value["runtimeValue"]["constant"]


def test_secrets_that_stages_read_are_those_that_the_upkeep_draws(executors):
    made = {
        one["metadata"]["name"]
        for one in build_secrets(draw_identities(ROOT / "manifests/base/store/policies"), "x")["items"]
    }
    asked = {
        _key(one, "secretName", "secretNameParameter")
        for each in executors.values()
        for one in each.get("secretAsEnv", [])
    }
    assert len(asked) > 10 and asked - WITHOUT_KEYS <= made


def test_settings_that_stages_read_are_in_the_config_map(objects, executors):
    settings = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    for each in executors.values():
        for one in each.get("configMapAsEnv", []):
            given = settings[_key(one, "configMapName", "configMapNameParameter")]
            assert {pair["configMapKey"] for pair in one["keyToEnv"]} <= set(given)


def test_long_stages_are_found_by_the_pod_monitor(of_overlay, executors):
    (monitor,) = [one for one in of_overlay("gpu") if one["kind"] == "PodMonitor"]
    (wanted,) = monitor["spec"]["selector"]["matchExpressions"]
    assert {one.replace("-", "_") for one in wanted["values"]} == set(LONG)
    labels = [each["podMetadata"]["labels"] for each in executors.values()]
    assert all(monitor["spec"]["selector"]["matchLabels"].items() <= one.items() for one in labels)
    assert set(wanted["values"]) <= {one[wanted["key"]] for one in labels}


def test_stages_are_nobody_as_the_namespace_demands(executors):
    for name, each in executors.items():
        rights = each["securityContext"]
        assert rights["runAsNonRoot"] is True and int(rights["runAsUser"]) > 0, name
