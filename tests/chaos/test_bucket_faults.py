"""Whatever a bucket does while a stage works with it: the stage ends as it would have, or in one clear sentence.

The server is real (SeaweedFS), the line to it ours. `make chaos` tries everything with every stage.
"""

import os
import random
import re
import shutil
import sys
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from buckets import USES, Bucket, use_of
from chain import absent, content
from faulty_line import FaultyLine
from processes import Process
from real_s3 import BUCKET
from record import tried

pytest_plugins = ["study", "real_s3"]

LONG = int(os.environ.get("THYGAN_CHAOS", "2")) >= 20
PASSING = ("dies", "slow", "down", "cut", "flip", "full", "busy", "jumps")  # for a while
STRANGE = "key-of-somebody-else"
LASTING = ("gone", "full for good", "skewed for good", "wrong secret", "unknown key", "no such bucket")
TOLD = "s3://.* (cannot be (read|written|listed)|does not exist)"
FROM_THE_START = {"gone": "down", "full for good": "full", "skewed for good": "skewed"}
SHORT = {
    ("tile", "cut"),
    ("tile", "wrong secret"),
    ("gan_train", "dies"),
    ("gan_train", "full for good"),
    ("fid_select", "flip"),
    ("fid_select", "full for good"),
    ("fid_select", "skewed for good"),
    ("pack", "dies"),
    ("report", "cut"),
    ("weights", "cut"),
    ("kept results", "busy"),
}
CASES = [(stage, fault) for stage in USES for fault in (*PASSING, *LASTING) if LONG or (stage, fault) in SHORT]


@pytest.fixture
def line(s3):
    line = FaultyLine(s3.host)
    yield line
    line.close()


@pytest.mark.parametrize(("stage", "fault"), CASES)
def test_a_bucket_that_fails(stage, fault, study, s3, line, tmp_path):
    bucket = Bucket(s3, "thygan-elsewhere" if fault == "no such bucket" else BUCKET)
    use = use_of(study, stage, bucket, tmp_path)
    with tried("bucket", stage=stage, fault=f"bucket: {fault}") as row:
        given = {
            **bucket.well,
            **use.environment,
            "THYGAN_S3_ENDPOINT": f"http://{line.host}",
            "THYGAN_PATIENCE_S": "20",
        }
        if fault == "wrong secret":
            given["AWS_SECRET_ACCESS_KEY"] = STRANGE
        elif fault == "unknown key":
            given["AWS_ACCESS_KEY_ID"] = "nobody"
        line.fault = FROM_THE_START.get(fault, "")
        out = tmp_path / "out"
        process = Process(tmp_path / "said", use.command.stage, use.command.words(out, **use.options), **given)
        if fault in PASSING:
            _disturb(fault, use, process, line, s3, random.Random(zlib.crc32(f"{stage} {fault}".encode())))
        code, said, complained = process.result()
        assert s3.secret not in said + complained
        assert STRANGE not in said + complained
        torn = {name for name, digest in content(out, use.command).items() if use.whole.get(name) != digest}
        assert not torn, f"half-written, or another: {torn}"
        if code == 0:
            assert not absent(out, use.command)
        else:
            assert fault in (*LASTING, "down", "dies", "flip", "full", "busy"), complained
            lines = complained.strip().splitlines()
            assert len(lines) == 1, complained
            assert lines[0].startswith("error: "), complained
            assert re.search(TOLD, lines[0]) or fault == "flip", complained
            row["outcome"] = complained.strip()[7:].replace(str(tmp_path), "")
        assert line.done or fault not in ("cut", "flip") or not use.asks_at_once
        shutil.rmtree(out, ignore_errors=True)


def _disturb(fault, use, process, line, s3, rng):
    """For a while, while the stage works."""
    if not use.asks_at_once:
        process.send_after(0, rng.uniform(0.1, 0.6) * use.seconds)
    if fault == "dies":
        s3.kill()
        process.send_after(0, use.seconds + 2)
        s3.start()
        return
    line.times = 3 if fault in ("cut", "flip", "full", "busy") else 10**9
    line.fault = fault
    process.send_after(0, use.seconds + 3)
    line.fault = "slow" if fault == "slow" else ""
