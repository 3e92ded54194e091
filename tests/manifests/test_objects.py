"""Every object that an overlay sends is valid, keeps the house's policies, and names only what is there."""

import copy
import json
import re
import sys
from pathlib import Path

import pytest

from components.cluster_admin.buckets import read_buckets
from components.cluster_admin.identities import build_secrets, draw_identities
from components.gan_train.train_job import GROUP, train_job
from pipelines.study.resources import FROM_SETTINGS, KEYS, RESOURCES, SHARED_MEMORY, USER

sys.path.insert(0, str(Path(__file__).parent))
from overlays import OVERLAYS, ROOT, containers, pods

STORE = ROOT / "manifests/base/store"
SYSTEM_SECRETS = {"thygan-study-key", "thygan-minio-root", "thygan-s3-identities"}
NODE = "spec.template.spec.replicatedJobs.0.template.spec.template.spec"
GIB = {"Mi": 1 / 1024, "Gi": 1, "Ti": 1024}


def label(one):
    return f"{one['kind']}/{one['metadata']['name']}"


def of_kind(objects, kind):
    return [one for one in objects if one["kind"] == kind]


def test_every_object_is_what_the_api_server_takes(objects, check):
    assert [f"{label(one)}: {said}" for one in objects for said in check.problems(one)] == []


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("StatefulSet", "spec.template.spec.containers.0.comand", ["weed"]),
        ("NetworkPolicy", "spec.policyType", ["Ingress"]),
        ("Job", "spec.template.spec.containers.0.resources.limits.cpu", {"is": "no quantity"}),
        ("PodMonitor", "spec.podMetricsEndpoints.0.relabelings.0.targetlabel", "__address__"),
        ("PodMonitor", "spec.podMetricsEndpoints.0.intervall", "30s"),
        ("PrometheusRule", "spec.groups.0.rules.0.four", "5m"),
        ("ClusterQueue", "spec.resourceGroups.0.flavours", []),
        ("LocalQueue", "spec.clusterQueue", 7),
        ("TrainingRuntime", "spec.mlPolicy.pytorch", {}),
        ("TrainingRuntime", f"{NODE}.tolerations.0.keys", "x"),
        ("TrainingRuntime", "spec.template.spec.failurePolicy.maxRestarts", "three"),
        ("TrainingRuntime", f"{NODE}.containers.0.resources.limits.cpu", {"is": "no quantity"}),
    ],
)
def test_a_misspelling_is_refused(of_overlay, check, kind, path, value):
    objects = of_overlay("prod") if kind != "StatefulSet" else of_overlay("gpu")
    one = copy.deepcopy(next(each for each in objects if each["kind"] == kind))
    *steps, last = path.split(".")
    at = one
    for step in steps:
        at = at[int(step)] if step.isdecimal() else at[step]
    at[last] = value
    assert list(check.problems(one))


def test_namespaces_leave_part_of_to_the_profile_controller(objects):
    """It says `kubeflow-profile` there, by which KFP's namespace admits the drivers of a profile."""
    key = "app.kubernetes.io/part-of"
    namespaces = of_kind(objects, "Namespace")
    assert namespaces and all(key not in one["metadata"].get("labels", {}) for one in namespaces)
    for one, template in pods(objects):
        assert template["metadata"]["labels"][key] == "thygan", label(one)


def test_a_kind_that_nobody_knows_is_refused(check):
    for api in ("example.org/v1", "kueue.x-k8s.io/v1beta1", "monitoring.coreos.com/v1", "v1"):
        assert list(check.problems({"apiVersion": api, "kind": "Unheard", "metadata": {"name": "of"}}))


def test_pods_keep_the_restricted_standard_and_more(objects):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards, `restricted`, and a read-only root."""
    for one, template in pods(objects):
        spec, who = template["spec"], label(one)
        assert spec["securityContext"]["runAsNonRoot"] is True, who
        assert spec["securityContext"]["runAsUser"] > 0, who
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, who
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), who
        kinds = {"configMap", "emptyDir", "secret", "persistentVolumeClaim", "projected", "downwardAPI"}
        assert all(set(volume) - {"name"} <= kinds for volume in spec.get("volumes", [])), who
        for container in containers(template):
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False, who
            assert rights["capabilities"] == {"drop": ["ALL"]}, who
            assert rights["readOnlyRootFilesystem"] is True, who
            assert not {"privileged", "procMount", "runAsUser"} & set(rights), who
            assert all("hostPort" not in port for port in container.get("ports", [])), who


def test_containers_say_what_they_take(objects):
    for one, template in pods(objects):
        for container in containers(template):
            for part in ("requests", "limits"):
                assert {"cpu", "memory"} <= set(container["resources"][part]), label(one)


def test_pods_have_an_account_of_their_own_and_a_token_only_where_they_talk_to_kubernetes(objects):
    accounts = {one["metadata"]["name"] for one in of_kind(objects, "ServiceAccount")}
    for one, template in pods(objects):
        assert template["spec"]["serviceAccountName"] in accounts, label(one)
        assert template["spec"]["automountServiceAccountToken"] is False, label(one)


def test_images_are_pinned_in_one_place_and_never_latest(objects):
    release = (ROOT / "manifests/components/images/kustomization.yaml").read_text()
    for one, template in pods(objects):
        for container in containers(template):
            name, _, tag = container["image"].rpartition(":")
            assert name and tag and tag != "latest" and "/" not in tag, label(one)
            assert f"name: {name}\n" in release or f"newName: {name}\n" in release, f"{label(one)}: {name}"


def test_no_secret_stands_in_git(objects):
    assert of_kind(objects, "Secret") == []
    for one, template in pods(objects):
        for container in containers(template):
            for variable in container.get("env", []):
                assert not re.search("SECRET|PASSWORD|TOKEN|_KEY$", variable["name"]) or "valueFrom" in variable, label(
                    one
                )
    for one in of_kind(objects, "ConfigMap"):
        assert not re.search(r"(?i)(secret_?key|password|token)\S*\s*[:=]\s*['\"]?[A-Za-z0-9/+]{16}", json.dumps(one))


def test_what_pods_mount_and_read_is_there(objects):
    made = {one["metadata"]["name"] for one in build_secrets(draw_identities(STORE / "policies"), "thygan")["items"]}
    there = {"secret": made, "configMap": {one["metadata"]["name"] for one in of_kind(objects, "ConfigMap")}}
    there["persistentVolumeClaim"] = {one["metadata"]["name"] for one in of_kind(objects, "PersistentVolumeClaim")}
    assert made >= SYSTEM_SECRETS
    for one, template in pods(objects):
        for volume in template["spec"].get("volumes", []):
            for kind, key in (("secret", "secretName"), ("configMap", "name"), ("persistentVolumeClaim", "claimName")):
                assert kind not in volume or volume[kind][key] in there[kind], f"{label(one)}: {volume}"
        for source in (source for each in containers(template) for source in each.get("envFrom", [])):
            assert source.get("secretRef", {"name": "thygan-minio-root"})["name"] in made, label(one)
            assert source.get("configMapRef", {"name": "thygan"})["name"] in there["configMap"], label(one)


def test_roles_name_what_they_give(objects):
    for role in [*of_kind(objects, "Role"), *of_kind(objects, "ClusterRole")]:
        for rule in role["rules"]:
            assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"]), label(role)
            assert "secrets" not in rule["resources"] or rule.get("resourceNames"), label(role)
            assert not {"escalate", "bind", "impersonate", "update", "deletecollection"} & set(rule["verbs"]), label(
                role
            )


def test_every_object_lies_in_the_namespace_and_the_namespace_is_restricted(objects):
    (namespace,) = of_kind(objects, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    wide = {"Namespace", "PriorityClass", "ClusterQueue", "ResourceFlavor", "WorkloadPriorityClass"}
    outside = [
        label(one) for one in objects if one["kind"] not in wide and one["metadata"].get("namespace") != "thygan"
    ]
    assert outside == []


def test_the_store_is_the_one_that_stages_are_told_of(of_overlay):
    for overlay in OVERLAYS:
        objects = of_overlay(overlay)
        settings = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}
        services = {
            f"http://{one['metadata']['name']}.thygan.svc:{port['port']}"
            for one in of_kind(objects, "Service")
            for port in one["spec"]["ports"]
        }
        told = settings["thygan"]
        inside = {told["AWS_ENDPOINT_URL"], told["THYGAN_PUSHGATEWAY"]} - {"", "https://s3.hospital.example"}
        assert inside <= services, overlay
        launcher = settings["kfp-launcher"]
        assert told["AWS_ENDPOINT_URL"].endswith(re.search("endpoint: (.*)", launcher["providers"])[1])
        assert launcher["defaultPipelineRoot"].removeprefix("minio://") == told["THYGAN_STORE"].removeprefix("s3://")
        bucket, _, prefix = told["THYGAN_ARCHIVES"].removeprefix("s3://").partition("/")
        assert f"{prefix}/" in read_buckets(STORE / "buckets.json")[bucket].expire_days


def test_buckets_of_policies_store_and_usage_are_those_that_are_made(of_overlay):
    buckets = set(read_buckets(STORE / "buckets.json"))
    named = {
        re.match(r"arn:aws:s3:::([^/*]+)", resource)[1]
        for file in (STORE / "policies").glob("*.json")
        for statement in json.loads(file.read_text())["Statement"]
        for resource in statement["Resource"]
    }
    assert named - {"thygan-"} == buckets
    for overlay in OVERLAYS:
        (usage,) = of_kind(of_overlay(overlay), "CronJob")
        (container,) = usage["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        assert {one.partition("=")[0] for one in container["command"][4:]} == buckets


def test_what_pods_need_together_fits_the_quota(objects):
    (quota,) = of_kind(objects, "ResourceQuota")
    claims = [one["spec"] for one in of_kind(objects, "PersistentVolumeClaim")]
    for one in of_kind(objects, "StatefulSet"):
        claims += [claim["spec"] for claim in one["spec"]["volumeClaimTemplates"]] * one["spec"]["replicas"]
    asked = sum(_gib(claim["resources"]["requests"]["storage"]) for claim in claims)
    assert asked <= _gib(quota["spec"]["hard"]["requests.storage"])
    assert len(claims) <= int(quota["spec"]["hard"]["persistentvolumeclaims"])


def _gib(quantity):
    return int(quantity[:-2]) * GIB[quantity[-2:]]


def test_a_train_job_finds_its_runtime_its_container_and_its_rights(of_overlay, check, monkeypatch):
    """The job that the stage makes against the runtime of the manifests, each against its schema."""
    for name in FROM_SETTINGS:
        monkeypatch.setenv(name, "told")
    job = train_job("thygan-gan-1", {"nodes": "2", "gpus": "8"}, 2, 8, "s3://thygan-checkpoints/jobs/1/job.json")
    assert list(check.problems(job)) == []
    assert list(check.problems({**job, "spec": {**job["spec"], "trainers": {}}}))
    known = {one["name"] for one in job["spec"]["trainer"]["env"]}
    assert known >= {*FROM_SETTINGS, *KEYS}, "what scheduling.py gives the stage's own pod"
    for overlay in ("gpu", "prod"):
        objects = of_overlay(overlay)
        (runtime,) = of_kind(objects, "TrainingRuntime")
        ref = job["spec"]["runtimeRef"]
        assert runtime["apiVersion"] == job["apiVersion"] == GROUP
        assert (ref["apiGroup"], ref["kind"], ref["name"]) == (
            GROUP.partition("/")[0], runtime["kind"], runtime["metadata"]["name"]
        )  # fmt: skip
        assert "torch" in runtime["spec"]["mlPolicy"]
        (node,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
        labels = node["template"]["metadata"]["labels"]
        assert (node["name"], labels["trainer.kubeflow.org/trainjob-ancestor-step"]) == ("node", "trainer")
        (_, template), needs = next(pods([runtime])), RESOURCES["gan_train"]
        (container,) = containers(template)
        assert container["name"] == "node"
        assert container["resources"]["limits"]["memory"] == f"{needs.memory}Gi"
        shared = next(one["name"] for one in container["volumeMounts"] if one["mountPath"] == SHARED_MEMORY)
        volumes = {one["name"]: one.get("emptyDir") for one in template["spec"]["volumes"]}
        assert volumes[shared] == {"medium": "Memory", "sizeLimit": f"{needs.shm}Gi"}
        assert template["spec"]["securityContext"]["runAsUser"] == USER
        assert template["metadata"]["labels"]["app.kubernetes.io/component"] == "gan-train"
        assert allowed(objects, "thygan-runner", GROUP.partition("/")[0], "trainjobs") >= {"create", "get", "delete"}


def allowed(objects, account, group, resource):
    """Verbs that an account has on a resource."""
    roles = {one["metadata"]["name"]: one["rules"] for one in of_kind(objects, "Role")}
    mine = [
        one["roleRef"]["name"]
        for one in of_kind(objects, "RoleBinding")
        if any(who["name"] == account for who in one["subjects"]) and one["roleRef"]["kind"] == "Role"
    ]
    rules = [rule for name in mine for rule in roles[name]]
    return {
        verb for rule in rules if group in rule["apiGroups"] and resource in rule["resources"] for verb in rule["verbs"]
    }
