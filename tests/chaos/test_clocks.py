"""Clocks that are an hour off: this machine's against a real server that looks, and a server's that does not."""

import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core/checkpoint"))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from buckets import Bucket, use_of
from chain import content
from faulty_line import FaultyLine
from owner import holding
from processes import ROOT
from real_s3 import BUCKET
from record import tried

from components.core.checkpoint.lease import acquire_lease
from components.core.errors import StoreError
from components.core.store import open_store

pytest_plugins = ["study", "real_s3"]

LIBRARIES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1")
EXPIRY_S = 2.0
ASKED = """
import json, sys, tempfile
from pathlib import Path
from components.core.errors import StoreError
from components.core.checkpoint.lease import hold_lease
from components.core.store import open_store

def told(work):
    try:
        return str(work())
    except StoreError as error:
        return f"refused: {error}"

def lease():
    with hold_lease(sys.argv[1], 2.0) as held:
        return held.confirm()

store = open_store(sys.argv[1])
download = Path(tempfile.mkdtemp()) / "tile"
works = [lease, lambda: store.list(), lambda: store.exists("tile"), lambda: store.get("tile", download)]
print(json.dumps([told(work) for work in works]))
"""


@pytest.fixture
def faketime():
    found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
    if not found:
        pytest.skip("skipped: libfaketime is not here; apt-get install libfaketime brings it")
    return str(found[0])


def run_at(faketime, offset, *words, **environment):
    """A program of Python on a machine whose clock is so far off."""
    clock = {"LD_PRELOAD": faketime, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **environment, **clock},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def asked(uri, faketime, offset):
    return json.loads(run_at(faketime, offset, "-c", ASKED, uri).stdout.splitlines()[-1])


@pytest.mark.parametrize(("stage", "offset"), [("tile", "-1h"), ("gan_train", "+1h"), ("gan_train", "+10m")])
def test_a_stage_on_a_machine_that_is_off(stage, offset, study, s3, faketime, tmp_path):
    bucket, out = Bucket(s3, BUCKET), tmp_path / "out"
    use = use_of(study, stage, bucket, tmp_path)
    words = use.command.words(out, **use.options)
    with tried("clock", stage=stage, fault=f"this machine's clock {offset}") as row:
        done = run_at(faketime, offset, "-m", f"components.{stage}", *words, OMP_NUM_THREADS="1", **bucket.well)
        if offset == "+10m":
            assert done.returncode == 0, done.stderr
            assert content(out, use.command) == use.whole
            return
        (line,) = done.stderr.strip().splitlines()
        assert done.returncode == 1
        assert "the clocks of this machine and the store differ by more than 15 minutes: set them." in line
        assert not content(out, use.command)
        row["outcome"] = line.removeprefix("error: ")


@pytest.mark.parametrize("offset", ["+1h", "-1h"])
def test_this_machine_is_an_hour_off(offset, bucket, faketime):
    """The server refuses every request, and every sentence names the clock, where the answer has no words, too."""
    open_store(bucket).write("tile", b"pixels")
    with tried("clock", stage="lease, list, look, read", fault=f"this machine's clock {offset}") as row:
        answers = asked(bucket, faketime, offset)
        for answer in answers:
            assert answer.startswith(f"refused: {bucket}")
            assert "the clocks of this machine and the store differ by more than 15 minutes: set them." in answer
        row["outcome"] = answers[0].removeprefix("refused: ").replace(bucket, f"s3://{BUCKET}/…")


def test_ten_minutes_are_let_pass(bucket, faketime):
    open_store(bucket).write("tile", b"pixels")
    with tried("clock", stage="lease, list, look, read", fault="this machine's clock +10m"):
        assert not [one for one in asked(bucket, faketime, "+10m") if one.startswith("refused")]


@pytest.fixture
def line(s3, monkeypatch):
    line = FaultyLine(s3.host)
    monkeypatch.setenv("THYGAN_S3_ENDPOINT", f"http://{line.host}")
    yield line
    line.close()


def test_a_server_an_hour_ahead_gives_no_lease_away(line, forked):
    """Ages come from the server's own two stamps: a living owner stays, a dead one blocks for its expiry only."""
    uri = f"s3://{BUCKET}/{secrets.token_hex(4)}"
    line.fault = "ahead"
    with tried("clock", stage="lease", fault="the server's clock +1h") as row:
        with forked(holding(uri, EXPIRY_S)) as (_, hear):
            assert hear() == "held True"
            with pytest.raises(StoreError, match="is in use by"):
                acquire_lease(uri, EXPIRY_S)
            assert hear() == "held True"
        began = time.monotonic()
        acquire_lease(uri, EXPIRY_S).release()
        assert time.monotonic() - began < EXPIRY_S + 5
        assert line.done
        row["outcome"] = "a living owner stays, a killed one blocks no longer than its expiry"


def test_a_server_whose_clock_jumps_mixes_no_two_runs(line, forked):
    """It makes a living owner look dead: that one is told, and stops."""
    uri = f"s3://{BUCKET}/{secrets.token_hex(4)}"
    with (
        tried("clock", stage="lease", fault="the server's clock jumps by 1h") as row,
        forked(holding(uri, EXPIRY_S)) as told,
    ):
        hear = told[1]
        assert hear() == "held True"
        line.fault = "jumps"
        second = acquire_lease(uri, EXPIRY_S)
        while (answer := hear()).startswith("held"):
            pass
        assert "was taken over by" in answer
        second.check()
        row["outcome"] = "the second takes over, the first stops with a sentence"
