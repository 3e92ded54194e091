"""The upkeep of the object store, on a real one whose identities are those that the command prints."""

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from minio import Minio
from minio.error import S3Error

from components.cluster_admin.buckets import read_buckets
from components.core.cache.publish import RENEW_AFTER_S
from components.core.errors import ConfigError

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from real_s3 import Server

ROOT = Path(__file__).parents[2]
STORE = ROOT / "manifests/base/store"
STAGES = (
    "tile",
    "split",
    "pack",
    "gan-train",
    "fid-select",
    "generate",
    "classifier-cv",
    "external-eval",
    "umap",
    "report",
)
MADE = {stage: f"thygan-artifacts/kfp/study/run-1/{stage}/7/made" for stage in STAGES}
RECORD = {stage: f"thygan-artifacts/kfp/study/run-1/{stage}/7/task.json" for stage in STAGES}
RESULT = {stage: f"thygan-artifacts/kfp/results/{stage.replace('-', '_')}/key.json" for stage in STAGES}
KEPT = [where[stage] for where in (MADE, RECORD, RESULT) for stage in STAGES]
SLIDE = "thygan-data/sources/hospital/slide.svs"
CHECKPOINTS = {
    "gan-train": ["thygan-checkpoints/binary/0/abc/checkpoint", "thygan-checkpoints/weekly/diagnosis/0/abc/checkpoint"],
    "classifier-cv": [f"thygan-checkpoints/{base}classifier_cv/binary/0/abc/state" for base in ("", "weekly/")],
    "fid-select": ["thygan-checkpoints/features/abc.npy"],
    "generate": ["thygan-checkpoints/features/abc.npy"],
}
WEIGHTS = "thygan-weights/resnet50.pth"
ARCHIVE = "thygan-artifacts/archives/0123456789abcdef.zip"
OBJECTS = [*KEPT, *dict.fromkeys(one for places in CHECKPOINTS.values() for one in places), SLIDE, WEIGHTS, ARCHIVE]
ALLOWED = {  # identity, what it does, where
    *{(stage, "read", where[stage]) for where in (MADE, RECORD, RESULT) for stage in STAGES},
    *{(stage, "write", where[stage]) for where in (RECORD, RESULT) for stage in STAGES},
    *{
        (stage, does, where)
        for stage in CHECKPOINTS
        for where in CHECKPOINTS[stage]
        for does in ("read", "write", "delete")
    },
    *{("launcher", does, where) for does in ("read", "write") for where in KEPT},
    *{("reader", "read", where) for where in KEPT},
    *{("weights-mirror", does, WEIGHTS) for does in ("read", "write")},
    *{(one, "read", ARCHIVE) for one in (*STAGES, "reader") if one != "split"},
    *{(stage, "write", ARCHIVE) for stage in ("tile", "pack", "generate")},
    ("tile", "read", SLIDE),
    *{(nobody, "read", WEIGHTS) for nobody in (*STAGES, "launcher", "reader", "usage", "bootstrap")},  # as everybody
}


def upkeep(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "components.cluster_admin", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A server with the printed identities, prepared by the bootstrap identity; and the Secrets, by name."""
    printed = upkeep("secrets")
    assert printed.returncode == 0, printed.stderr
    secrets = {one["metadata"]["name"]: one["stringData"] for one in json.loads(printed.stdout)["items"]}
    server = Server(
        tmp_path_factory.mktemp("store"), identities=json.loads(secrets["thygan-s3-identities"]["identities.json"])
    )
    server.start()
    server.environment = lambda name: {**secrets[f"thygan-s3-{name}"], "AWS_ENDPOINT_URL": f"http://{server.host}"}
    made = upkeep("buckets", str(STORE / "buckets.json"), **server.environment("bootstrap"))
    assert made.returncode == 0, made.stderr
    yield server
    server.kill()


def client(store: Server, name: str) -> Minio:
    given = store.environment(name)
    return Minio(
        store.host, given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], secure=False, region="us-east-1"
    )


def can(one: Minio, does: str, where: str) -> bool:
    bucket, _, key = where.partition("/")
    try:
        if does == "read":
            one.get_object(bucket, key).close()
        elif does == "write":
            one.put_object(bucket, key, BytesIO(b"2"), 1)
        else:
            one.remove_object(bucket, key)
    except S3Error as error:
        assert error.code == "AccessDenied", error
        return False
    return True


def test_an_identity_may_do_what_its_work_needs_and_nothing_else(store):
    """Every identity tries everything everywhere."""
    root = store.client()
    for where in OBJECTS:
        root.put_object(*where.split("/", 1), BytesIO(b"1"), 1)
    done = set()
    for file in sorted((STORE / "policies").glob("*.json")):
        one = client(store, file.stem)
        for where in OBJECTS:
            for does in ("read", "write", "delete"):
                if can(one, does, where):
                    done.add((file.stem, does, where))
                    root.put_object(*where.split("/", 1), BytesIO(b"1"), 1)
    assert (sorted(done - ALLOWED), sorted(ALLOWED - done)) == ([], [])


def test_a_big_checkpoint_goes_up_in_parts_and_a_stranger_cannot_list_it(store):
    trainer, place = client(store, "gan-train"), ("thygan-checkpoints", "binary/0/abc/")
    trainer.put_object(place[0], f"{place[1]}big", BytesIO(bytes(6 << 20)), -1, part_size=5 << 20)
    assert f"{place[1]}big" in [one.object_name for one in trainer.list_objects(*place)]
    with pytest.raises(S3Error, match="AccessDenied"):
        list(client(store, "classifier-cv").list_objects(*place))


def test_buckets_have_their_rules_and_a_second_time_changes_nothing(store):
    root = store.client()
    assert root.get_bucket_versioning("thygan-data").status == "Enabled"
    assert root.get_bucket_versioning("thygan-checkpoints").status != "Enabled"
    rules = {rule.rule_id: rule for rule in root.get_bucket_lifecycle("thygan-checkpoints").rules}
    assert rules["expire-all"].expiration.days == 30
    assert rules["unfinished"].abort_incomplete_multipart_upload.days_after_initiation == 7
    again = upkeep("buckets", str(STORE / "buckets.json"), **store.environment("bootstrap"))
    assert again.returncode == 0 and again.stdout.count("present") == 4
    assert {rule.rule_id for rule in root.get_bucket_lifecycle("thygan-checkpoints").rules} == set(rules)


def test_archives_outlive_the_records_that_name_them(store):
    """By as long as one may be old when a record is written that names it."""
    rules = {rule.rule_id: rule.expiration for rule in store.client().get_bucket_lifecycle("thygan-artifacts").rules}
    longest_record_days = rules["expire-kfp"].days + RENEW_AFTER_S / 86400
    assert longest_record_days + 1 <= rules["expire-archives"].days


def test_everybody_may_read_weights_and_nothing_else(store):
    root, nobody = store.client(), Minio(store.host, secure=False, region="us-east-1")
    for bucket in ("thygan-weights", "thygan-data"):
        root.put_object(bucket, "file", BytesIO(b"1"), 1)
    assert nobody.get_object("thygan-weights", "file").read() == b"1"
    for bucket, does in (("thygan-data", "read"), ("thygan-weights", "write"), ("thygan-weights", "delete")):
        assert not can(nobody, does, f"{bucket}/file")


def test_usage_is_told_in_bytes(store):
    store.client().put_object("thygan-data", "sources/heavy", BytesIO(bytes(3 << 20)), 3 << 20)
    told = upkeep("usage", "thygan-data=1Gi", THYGAN_LOG="json", **store.environment("usage"))
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout.splitlines()[-1])["used_bytes"] >= 3 << 20


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (("usage", "thygan-data=much"), {}, "write it as BUCKET=SIZE"),
        (("secrets", "/nowhere"), {}, "has no policy files"),
        (("buckets", str(STORE / "buckets.json")), {"AWS_SECRET_ACCESS_KEY": "wrong"}, "cannot be prepared"),
    ],
)
def test_bad_input_gets_one_sentence(store, arguments, environment, sentence):
    said = upkeep(*arguments, **{**store.environment("bootstrap"), **environment})
    assert said.returncode == 1 and said.stderr.count("\n") == 1 and sentence in said.stderr


def test_an_unknown_rule_is_refused(tmp_path):
    (tmp_path / "buckets.json").write_text('{"one": {"version": true}}')
    with pytest.raises(ConfigError, match=r"an unknown rule .*versioning"):
        read_buckets(tmp_path / "buckets.json")
