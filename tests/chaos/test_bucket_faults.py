"""Whatever a bucket does while a stage works with it: the stage ends as it would have, or in one clear sentence.

The server is real (SeaweedFS), the line to it ours. `make chaos` tries everything with every stage.
"""

import os
import random
import secrets
import shutil
import sys
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from chain import ENVIRONMENT, absent, content
from faulty_line import FaultyLine
from processes import Process, run_to_end
from real_s3 import BUCKET
from record import tried

pytest_plugins = ["study", "real_s3"]

LONG = int(os.environ.get("THYGAN_CHAOS", "2")) >= 20
PASSING = ("dies", "slow", "down", "cut", "flip", "full", "busy")  # for a while
STRANGE = "key-of-somebody-else"
LASTING = ("gone", "full for good", "skewed for good", "wrong secret", "unknown key", "no such bucket")
SHORT = {
    ("tile", "cut"),
    ("tile", "wrong secret"),
    ("gan_train", "dies"),
    ("gan_train", "full for good"),
    ("fid_select", "flip"),
    ("fid_select", "skewed for good"),
}
CASES = [
    (stage, fault)
    for stage in ("tile", "gan_train", "fid_select", "classifier_cv")
    for fault in (*PASSING, *LASTING)
    if LONG or (stage, fault) in SHORT
]


def _elsewhere(value):
    if isinstance(value, list):
        return [_elsewhere(one) for one in value]
    return str(value).replace(BUCKET, "thygan-elsewhere")


@pytest.fixture
def line(s3):
    line = FaultyLine(s3.host)
    yield line
    line.close()


@pytest.fixture
def place(study, s3, stage, fault, tmp_path):
    """Where the stage reads from, or keeps its state: a fresh prefix; and the options that say so."""
    study.upto(stage)
    prefix = f"s3://{BUCKET}/{secrets.token_hex(4)}"
    if stage == "fid_select":
        if fault in ("cut", "flip"):  # which meet what is fetched
            out = tmp_path / "before"
            environment = {"AWS_ACCESS_KEY_ID": s3.key, "AWS_SECRET_ACCESS_KEY": s3.secret}
            environment |= {**ENVIRONMENT, "THYGAN_S3_ENDPOINT": f"http://{s3.host}"}
            run_to_end(out, stage, study.commands[stage].words(out, cache_uri=prefix), **environment)
        return {"cache_uri": prefix}
    if stage != "tile":
        return {"checkpoint_uri": prefix, "checkpoint_minutes": 0}
    client, folder = s3.client(), study.folder / "data/hospital-a"
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".png", ".csv"):
            name = f"{prefix.removeprefix(f's3://{BUCKET}/')}/hospital-a/{path.relative_to(folder).as_posix()}"
            client.fput_object(BUCKET, name, str(path))
    return {"sources": [f"{prefix}/hospital-a"]}


@pytest.mark.parametrize(("stage", "fault"), CASES)
def test_a_bucket_that_fails(stage, fault, study, s3, line, place, tmp_path):
    with tried("bucket", stage=stage, fault=f"bucket: {fault}") as row:
        command, whole = study.commands[stage], content(study.folder / stage, study.commands[stage])
        options = place
        given = {"AWS_ACCESS_KEY_ID": s3.key, "AWS_SECRET_ACCESS_KEY": s3.secret}
        if fault == "wrong secret":
            given["AWS_SECRET_ACCESS_KEY"] = STRANGE
        elif fault == "unknown key":
            given["AWS_ACCESS_KEY_ID"] = "nobody"
        elif fault == "no such bucket":
            options = {key: _elsewhere(value) for key, value in place.items()}
        elif fault in ("gone", "full for good", "skewed for good"):
            line.fault = {"gone": "down", "full for good": "full", "skewed for good": "skewed"}[fault]
        out = tmp_path / "out"
        environment = {**ENVIRONMENT, **given, "THYGAN_S3_ENDPOINT": f"http://{line.host}", "THYGAN_PATIENCE_S": "20"}
        process = Process(out, stage, command.words(out, **options), **environment)
        if fault in PASSING:
            rng = random.Random(zlib.crc32(f"{stage} {fault}".encode()))
            if stage != "fid_select":  # which fetches at once what it kept
                process.send_after(0, rng.uniform(0.1, 0.6) * study.seconds[stage])
            if fault == "dies":
                s3.kill()
                process.send_after(0, study.seconds[stage] + 2)
                s3.start()
            else:
                line.times = 3 if fault in ("cut", "flip", "full", "busy") else 10**9
                line.fault = fault
                process.send_after(0, study.seconds[stage] + 3)
                line.fault = "slow" if fault == "slow" else ""
        code, said, complained = process.result()
        assert s3.secret not in said + complained
        assert STRANGE not in said + complained
        torn = {name for name, digest in content(out, command).items() if whole.get(name) != digest}
        assert not torn, f"half-written, or another: {torn}"
        if code == 0:
            assert not absent(out, command)
        else:
            assert fault in (*LASTING, "down", "dies", "flip", "full", "busy"), complained
            lines = complained.strip().splitlines()
            assert len(lines) == 1, complained
            assert lines[0].startswith("error: "), complained
        assert line.done or fault not in ("cut", "flip") or stage != "fid_select"
        if code:
            row["outcome"] = complained.strip()[7:]
        shutil.rmtree(out, ignore_errors=True)
