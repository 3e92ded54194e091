"""Checkpoints: whatever is torn, killed or away, a training goes on from the newest that is whole, and no other."""

import os
import random
import signal
import time

import pytest
import torch

from components.core.checkpoint.checkpoint_store import CheckpointStore, remove_checkpoints
from components.core.checkpoint.fingerprint import runtime_fingerprint
from components.core.checkpoint.lease import hold_lease
from components.core.checkpoint.state_file import read_state
from components.core.errors import ConfigError, StoreError
from components.core.store import open_store

pytest_plugins = ["tests.core.real_s3"]

KEY = "binary/3/0123456789ab"
CONFIG = {"batch": 8, "gamma": 0.1, "network": {"channel_max": 32, "layers": [1, 2]}}
DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["folder", "bucket"])
def uri(request, tmp_path):
    return str(tmp_path / "checkpoints") if request.param == "folder" else request.getfixturevalue("bucket")


def open_checkpoints(uri, name="checkpoint", **options):
    return CheckpointStore(f"{uri}/{KEY}", name, **{"config": CONFIG, "expiry_s": 2.0, **options})


def a_state(step, size=1000):
    return {"step": step, "w": torch.full((size,), float(step)), "n": {"m": torch.tensor(step)}}


def is_whole(found):
    return bool((found.state["w"] == found.step).all()) and found.state["n"]["m"] == found.step == found.state["step"]


def names(uri):
    return [one.name for one in open_store(f"{uri}/{KEY}").list() if one.name.startswith("checkpoint-")]


def test_the_newest_is_found_on_an_empty_disk(uri):
    with open_checkpoints(uri) as checkpoints:
        assert checkpoints.latest() is None
        for step in (8, 16, 24, 1000):
            checkpoints.save(a_state(step), step)
            if checkpoints._uploads:  # a newer one would take the place of one that waits
                checkpoints._uploads.wait(30)
    assert names(uri) == ["checkpoint-000000000024.safetensors", "checkpoint-000000001000.safetensors"]
    with open_checkpoints(uri, keep=1) as checkpoints:
        found = checkpoints.latest()
        assert (found.step, is_whole(found)) == (1000, True)
        assert read_state(found.path).meta["config"] == CONFIG
        checkpoints.save(a_state(1008), 1008)
    assert names(uri) == ["checkpoint-000000001008.safetensors"]


def test_the_disk_is_asked_before_the_bucket(bucket, tmp_path, bad_line):
    with open_checkpoints(bucket, work=tmp_path) as checkpoints:
        checkpoints.save(a_state(8), 8)
        checkpoints._uploads.wait(30)
        bad_line.is_down = True
        checkpoints.save(a_state(16), 16)
        checkpoints.close(0.1)
    bad_line.is_down = False
    assert names(bucket) == ["checkpoint-000000000008.safetensors"]
    with open_checkpoints(bucket, work=tmp_path) as checkpoints:
        assert checkpoints.latest().step == 16


def test_a_torn_one_falls_back(uri, capsys):
    with open_checkpoints(uri) as checkpoints:
        for step in (8, 16):
            checkpoints.save(a_state(step), step)
            if checkpoints._uploads:
                checkpoints._uploads.wait(30)
    place, newest = open_store(f"{uri}/{KEY}"), "checkpoint-000000000016.safetensors"
    place.write(newest, place.read(newest).data[:-9])
    capsys.readouterr()
    with open_checkpoints(uri) as checkpoints:
        found = checkpoints.latest()
        assert (found.step, is_whole(found)) == (8, True)
        said = capsys.readouterr().out.splitlines()
        assert len(said) == 1
        assert "is torn" in said[0]
        assert newest in said[0]
        checkpoints.save(a_state(12), 12)  # another rhythm than before: the torn one must not stay the newest
    assert names(uri) == ["checkpoint-000000000008.safetensors", "checkpoint-000000000012.safetensors"]


def test_none_intact_is_said(tmp_path, capsys):
    with open_checkpoints(str(tmp_path)) as checkpoints:
        checkpoints.save(a_state(8), 8).write_bytes(b"torn")
    with open_checkpoints(str(tmp_path)) as checkpoints:
        assert checkpoints.latest() is None
    assert "holds no intact checkpoint: the training starts from the beginning." in capsys.readouterr().out


def test_another_configuration_is_refused_by_name(uri):
    with open_checkpoints(uri) as checkpoints:
        checkpoints.save(a_state(8), 8)
    other = {"batch": 16, "gamma": 0.1, "network": {"channel_max": 64, "layers": (1, 2)}, "mirror": True}
    differing = r"\(batch 8 → 16, mirror \(absent\) → True, network.channel_max 32 → 64\): resume with the old one"
    with (
        open_checkpoints(uri, config=other) as checkpoints,
        pytest.raises(ConfigError, match=f"{KEY} was written with another configuration {differing}"),
    ):
        checkpoints.latest()
    with open_checkpoints(uri) as checkpoints:
        assert checkpoints.latest().step == 8


def test_another_environment_is_said(tmp_path, capsys):
    cpu = torch.device("cpu")
    with open_checkpoints(str(tmp_path), fingerprint=runtime_fingerprint(cpu)) as checkpoints:
        checkpoints.save(a_state(8), 8)
    with open_checkpoints(str(tmp_path), fingerprint=runtime_fingerprint(cpu)) as checkpoints:
        checkpoints.latest()
    assert capsys.readouterr().out == ""
    torch.set_num_threads(2)
    with open_checkpoints(str(tmp_path), fingerprint=runtime_fingerprint(cpu, world_size=2)) as checkpoints:
        assert is_whole(checkpoints.latest())
    said = "The training resumes at 8 images, but not bit-equal: threads 1 → 2, world_size 1 → 2.\n"
    assert capsys.readouterr().out == said


def test_a_second_run_is_refused(uri, tmp_path):
    with (
        open_checkpoints(uri) as checkpoints,
        pytest.raises(StoreError, match=rf"/{KEY} is in use by .* \(process {os.getpid()}\)"),
    ):
        open_checkpoints(uri, config={})
    with CheckpointStore(f"{uri}/binary/4/0123456789ab", "checkpoint", config=CONFIG):
        checkpoints = open_checkpoints(uri)
        checkpoints.close()


def saving(uri, size, **options):
    """Work for a child: saves one checkpoint after the other, and tells of each."""

    def work(tell):
        with open_checkpoints(uri, keep=3, **options) as checkpoints:
            found = checkpoints.latest()
            step = found.step if found else 0
            while True:
                step += 1
                checkpoints.save(a_state(step, size), step)
                tell(str(step))

    return work


def test_killed_at_any_moment(tmp_path, forked, capsys):
    uri, moments, told = str(tmp_path), random.Random(0), 0
    for _ in range(20):
        with forked(saving(uri, 300_000)) as (process, hear):
            told = max(told, int(hear()))
            time.sleep(moments.random() * 0.05)
            os.kill(process, signal.SIGKILL)
            while line := hear():
                told = int(line)
        with open_checkpoints(uri) as checkpoints:
            found = checkpoints.latest()
            assert is_whole(found)
            assert found.step in (told, told + 1)
            assert not list((tmp_path / KEY).glob(".*.part"))
    assert "torn" not in capsys.readouterr().out


def test_killed_during_an_upload(bucket, tmp_path, forked, capsys):
    for moment in (0.05, 0.4):
        with forked(saving(bucket, 1_500_000)) as (process, hear):
            before = int(hear())
            while int(hear()) < before + 2:
                pass
            time.sleep(moment)
            os.kill(process, signal.SIGKILL)
        with open_checkpoints(bucket) as checkpoints:
            found = checkpoints.latest()
            assert found is None or is_whole(found)
            assert set(names(bucket)) >= ({found.path.name} if found else set())
    assert found.step > 1
    assert "torn" not in capsys.readouterr().out


def test_a_training_outlives_a_store_that_is_away(bucket, s3, capsys):
    with open_checkpoints(bucket) as checkpoints:
        checkpoints.save(a_state(1), 1)
        assert checkpoints._uploads.wait(30) == ""
        s3.kill()
        for step in (2, 3, 4):
            checkpoints.save(a_state(step), step)
            time.sleep(0.1)
            checkpoints.check()
        while "tried again" not in (said := capsys.readouterr().out):
            time.sleep(0.2)
        assert said.count("does not answer") == 1
        s3.start()
    assert capsys.readouterr().out == f"{bucket}/{KEY} is back.\n"
    assert names(bucket)[-1] == "checkpoint-000000000004.safetensors"
    with open_checkpoints(bucket) as checkpoints:
        assert is_whole(checkpoints.latest())


def test_a_last_upload_that_fails_is_said_and_kept(bucket, bad_line, capsys):
    with open_checkpoints(bucket) as checkpoints:
        bad_line.is_down = True
        path = checkpoints.save(a_state(8), 8)
        checkpoints.close(0.5)
    said = capsys.readouterr().out
    assert f"The last checkpoint did not reach {bucket}/{KEY} (" in said
    assert f"It is in {path.parent}." in said
    assert read_state(path).meta["step"] == 8


def test_who_was_replaced_saves_nothing_more(bucket, forked, tmp_path):
    def work(tell):
        with open_checkpoints(bucket) as checkpoints:
            checkpoints.save(a_state(1), 1)
            tell(checkpoints._uploads.wait(30) or "saved")
            while True:
                time.sleep(0.05)
                checkpoints.save(a_state(999), 999) if (tmp_path / "go").exists() else checkpoints.check()

    with forked(work) as (process, hear):
        assert hear() == "saved"
        os.kill(process, signal.SIGSTOP)
        with open_checkpoints(bucket) as checkpoints:
            assert checkpoints.latest().step == 1
            checkpoints.save(a_state(2), 2)
            assert checkpoints._uploads.wait(30) == ""
            (tmp_path / "go").touch()
            os.kill(process, signal.SIGCONT)
            assert hear().startswith(f"StoreError: The lease of {bucket}/{KEY} was taken over by")
            time.sleep(0.5)
            assert names(bucket) == [f"checkpoint-{step:012d}.safetensors" for step in (1, 2)]


def test_wrong_credentials_are_refused_at_once(bucket, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreError, match="denies access with these credentials"):
        open_checkpoints(bucket)


def test_a_full_disk_is_one_sentence(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open_checkpoints(str(tmp_path)) as checkpoints:
        checkpoints.save(a_state(8), 8)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
            with pytest.raises(StoreError, match=r"cannot be written .*free some space on the disk") as refused:
                checkpoints.save(a_state(16, size=100_000), 16)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        assert "\n" not in str(refused.value)
        assert {path.name for path in (tmp_path / KEY).iterdir()} == {".lease", "checkpoint-000000000008.safetensors"}
        assert checkpoints.latest().step == 8


def test_trainings_under_one_lease_keep_their_own_states(uri):
    """Workers of one task save without a lease, each under its name, and the parent removes everything at the end."""
    with hold_lease(f"{uri}/{KEY}", 2.0):
        with pytest.raises(StoreError, match="is in use by"):
            open_checkpoints(uri, "none-seed0")
        for name, step in (("none-seed0", 3), ("none-seed1", 5)):
            with open_checkpoints(uri, name, is_owner=False, unit="epochs") as checkpoints:
                checkpoints.save(a_state(step), step)
        for name, step in (("none-seed0", 3), ("none-seed1", 5)):
            with open_checkpoints(uri, name, is_owner=False, unit="epochs") as checkpoints:
                found = checkpoints.latest()
                assert (found.step, is_whole(found)) == (step, True)
        remove_checkpoints(f"{uri}/{KEY}")
        with open_checkpoints(uri, "none-seed1", is_owner=False) as checkpoints:
            assert checkpoints.latest() is None


def test_a_store_leaves_the_partial_files_of_other_trainings(tmp_path):
    partial = tmp_path / KEY / ".none-seed1-000000000003.safetensors.0-1-2.part"
    with open_checkpoints(str(tmp_path), "none-seed0") as checkpoints:
        checkpoints.save(a_state(1), 1)
        partial.touch()
    with open_checkpoints(str(tmp_path), "none-seed0"):
        assert partial.exists()
    with open_checkpoints(str(tmp_path), "none-seed1"):
        assert not partial.exists()


@pytest.mark.parametrize(
    ("options", "sentence"), [({"keep": 0}, "keep is 0"), ({"name": "a/b"}, "'a/b' cannot be the name of a training")]
)
def test_bad_arguments_are_refused(tmp_path, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        open_checkpoints(str(tmp_path), **options)
