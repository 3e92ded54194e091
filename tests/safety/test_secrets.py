"""Secrets come by environment or file, and no line that a stage says holds one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECRET = "do-not-print-4a5e93b1"  # noqa: S105 - this one may be known
VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "THYGAN_STUDY_KEY")


def said(module, *words, **environment):
    """Everything that a command prints; it must fail with one sentence, the last event where lines are JSON."""
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        env=given,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    if environment.get("THYGAN_LOG") == "json":
        assert done.stderr == ""
        assert json.loads(done.stdout.splitlines()[-1])["level"] == "error"
    else:
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_error_of_a_bucket_prints_one(form, tmp_path):
    outputs = [word for name in ("tiles", "manifest", "tile-page", "data-card", "card-values", "tile-record")
               for word in (f"--{name}", tmp_path / name)]  # fmt: skip
    secrets = dict.fromkeys(VARIABLES, SECRET)
    places = {
        "s3://bucket/x": {"THYGAN_S3_ENDPOINT": "http://127.0.0.1:9"},
        f"s3://{SECRET}/x": {"THYGAN_S3_ENDPOINT": f"http://user:{SECRET}@127.0.0.1:9"},
        f"http://user:{SECRET}@host/x": {},
    }
    for source, endpoint in places.items():
        text = said("components.tile", "--sources", source, *outputs, THYGAN_LOG=form, AWS_ACCESS_KEY_ID="id",
                    **secrets, **endpoint)  # fmt: skip
        assert SECRET not in text, text


def test_a_short_key_is_not_repeated(tmp_path):
    outputs = [word for name in ("tiles", "manifest", "tile-page", "data-card", "card-values", "tile-record")
               for word in (f"--{name}", tmp_path / name)]  # fmt: skip
    text = said("components.tile", "--sources", tmp_path, *outputs, THYGAN_STUDY_KEY="short-key-1")
    assert "fewer than 16 characters" in text
    assert "short-key-1" not in text


def test_no_option_takes_a_secret():
    from components.core.options.fields import describe_options
    from components.groups import GROUPS
    from pipelines.study.pipeline import local_study

    names = {info.name for kind in GROUPS.values() for info in describe_options(kind)}
    names |= set(local_study().component_spec.inputs)
    assert not [name for name in names if any(word in name for word in ("secret", "password", "token", "credential"))]
