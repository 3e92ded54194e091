"""Two runs in one place."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from chain import ENVIRONMENT
from processes import Process
from real_s3 import BUCKET
from record import tried

pytest_plugins = ["study", "real_s3"]


@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_two_trainings_in_one_place(where, study, s3, tmp_path):
    """The second is refused while the first lives; a killed one blocks no longer than its lease says."""
    study.upto("gan_train")
    command = study.commands["gan_train"]
    uri = f"s3://{BUCKET}/two" if where == "bucket" else tmp_path / "kept"
    options = {"checkpoint_uri": uri, "checkpoint_minutes": 0, "kimg": 50}
    environment = {
        **ENVIRONMENT, "AWS_ACCESS_KEY_ID": s3.key, "AWS_SECRET_ACCESS_KEY": s3.secret,
        "THYGAN_S3_ENDPOINT": f"http://{s3.host}",
    }  # fmt: skip
    with tried("two runs", stage="gan_train", fault=f"two runs in one {where}") as row:
        first = Process(tmp_path / "a", "gan_train", command.words(tmp_path / "a", **options), **environment)
        _wait_for(lambda: _is_kept(uri, s3))
        second = Process(tmp_path / "b", "gan_train", command.words(tmp_path / "b", **options), **environment)
        code, _, complained = second.result()
        assert code == 1
        assert len(complained.strip().splitlines()) == 1
        assert "is in use by" in complained
        assert str(first.pid) in complained
        assert not (tmp_path / "b/snapshots").exists()
        os.kill(first.pid, signal.SIGKILL)
        first.result()
        killed = time.monotonic()
        shutil.rmtree(tmp_path / "a")
        options["kimg"] = 0.06  # it may grow, and be less than what is there: the third ends at once
        third = Process(tmp_path / "a", "gan_train", command.words(tmp_path / "a", **options), **environment)
        code, said, complained = third.result()
        assert code == 0, complained
        assert "resumes at" in said
        row["outcome"] = "the second refused; after the first was killed, the third goes on"
        row["seconds"] = round(time.monotonic() - killed, 1)


def _is_kept(uri, s3):
    if "://" in str(uri):
        return any(
            one.object_name.endswith(".safetensors") for one in s3.client().list_objects(BUCKET, "two/", recursive=True)
        )
    return any(uri.rglob("checkpoint-*.safetensors"))


def _wait_for(condition, seconds=240):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
