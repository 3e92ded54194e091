"""What a stage says, read as a log collector would read it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipelines.demo import write_study

ROOT = Path(__file__).parents[3]
CODE = """
import logging, sys, threading, warnings
from components.core.runtime import logs
from components.core.errors import DataError
from components.core.runtime.progress import log, track
from components.core.records.stage_record import StageRecord
from components.core.telemetry.stage import instrumented

def run(*, metrics, fails):
    with StageRecord(metrics, "gan_train", fold="1", scheme="binary"):
        log("begun")
        for _ in track(range(3), "looking", unit="tiles"):
            pass
        thread = threading.Thread(target=lambda: log("from a thread"))
        thread.start(), thread.join()
        logging.getLogger("library").warning("of a library")
        if fails:
            raise DataError("the key s3cret-of-the-bucket is no reason to print it")

run.__module__ = "components.gan_train.stage"
instrumented(run)(metrics=sys.argv[1], fails=sys.argv[2] == "fails")
"""


def spoken(tmp_path: Path, fails: bool, **environment: str) -> subprocess.CompletedProcess:
    given = {"AWS_SECRET_ACCESS_KEY": "s3cret-of-the-bucket", "THYGAN_RUN_ID": "run-7", **environment}
    return subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "metrics.json"), "fails" if fails else "succeeds"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **given},
        capture_output=True,
        text=True,
    )


def test_in_a_pod_every_line_is_one_event_with_its_run_stage_and_fold(tmp_path):
    said = spoken(tmp_path, fails=False, KUBERNETES_SERVICE_HOST="10.0.0.1", THYGAN_METRICS_PORT="0")
    assert said.returncode == 0 and said.stderr == ""
    events = [json.loads(line) for line in said.stdout.splitlines()]
    inside = [one for one in events if one["message"] in ("begun", "from a thread", "of a library")]
    assert len(inside) == 3 and {one["level"] for one in inside} == {"info", "warning"}
    for one in inside:
        assert (one["run"], one["pipeline"], one["stage"]) == ("run-7", "thygan-study", "gan_train")
        assert (one["fold"], one["scheme"]) == ("1", "binary")
    done = next(one for one in events if one["message"].startswith("looking"))
    assert (done["done"], done["total"], done["unit"]) == (3, 3, "tiles")


def test_a_failure_is_one_event_that_knows_where_it_happened(tmp_path):
    said = spoken(tmp_path, fails=True, THYGAN_LOG="json")
    assert said.returncode == 1 and said.stderr == ""
    last = json.loads(said.stdout.splitlines()[-1])
    assert (last["level"], last["stage"], last["fold"], last["run"]) == ("error", "gan_train", "1", "run-7")
    assert last["message"].startswith("DataError: ") and "in run" in last["traceback"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_line_carries_a_secret(tmp_path, form):
    said = spoken(tmp_path, fails=True, THYGAN_LOG=form)
    everything = said.stdout + said.stderr
    assert "is no reason to print it" in everything and "s3cret-of-the-bucket" not in everything
    assert "the key *** is" in everything


def test_on_a_terminal_lines_are_for_people(tmp_path):
    said = spoken(tmp_path, fails=False, THYGAN_LOG="text")
    assert said.stdout.splitlines()[0] == "begun" and "{" not in said.stdout


def test_a_stage_s_lines_name_no_patient(tmp_path):
    """The stage that reads names and patients, over made-up ones, and what it says on both streams."""
    write_study(tmp_path / "data", seed=0, patients=6, external_patients=4, images_per_patient=1, size_px=96)
    labels = tmp_path / "data/hospital-a/meta.csv"
    named = pd.read_csv(labels, dtype=str)
    for column in ("patient", "case"):
        named[column] = "Patient-" + named[column] + "-Muster"
    named.to_csv(labels, index=False)
    outputs = {
        name: tmp_path / name for name in ("tiles", "manifest", "tile-page", "data-card", "card-values", "tile-record")
    }
    words = [word for name, path in outputs.items() for word in (f"--{name}", str(path))]
    source = tmp_path / "data/hospital-a"
    command = [
        sys.executable,
        "-m",
        "components.tile",
        "--sources",
        str(source),
        "--tile-px",
        "64",
        "--mpp",
        "hospital-a=unknown",
        *words,
    ]
    environment = {"PYTHONPATH": str(ROOT), "THYGAN_LOG": "json", "THYGAN_STUDY_KEY": "a-long-secret-of-the-study"}
    said = subprocess.run(command, env={**os.environ, **environment}, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    everything = said.stdout + said.stderr
    assert [json.loads(line)["stage"] for line in said.stdout.splitlines()]
    assert pd.read_csv(outputs["manifest"], dtype=str)["patient"].str.fullmatch(r"Patient-\d-Muster").all()
    assert "Muster" not in everything
    assert "a-long-secret" not in everything
