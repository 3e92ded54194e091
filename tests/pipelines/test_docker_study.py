"""The whole study through the real images, as a user starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from components.kfp_component import image
from pipelines.demo import write_study
from tests.pipelines.small_study import small_options

docker = pytest.importorskip("docker")
ARMS = ("none", "bi100", "bi100-real")


@pytest.fixture(scope="module", autouse=True)
def images():
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException:
        pytest.skip('skipped: no container engine answers; eval "$(images/engine.sh up)" starts one')
    for stage in ("tile", "gan_train", "report"):
        try:
            client.images.get(image(stage))
        except docker.errors.ImageNotFound:
            pytest.skip("skipped: no images; python images/build.py tile pack stages --alias builds them")


def thygan_run(*arguments):
    command = [sys.executable, "-m", "pipelines", "run", "--runner", "docker", *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docker")
    write_study(folder / "data", seed=3, patients=20, images_per_patient=1, size_px=96, external_patients=12)
    sources = ["--source", folder / "data" / "hospital-a", "--external", folder / "data" / "hospital-b"]
    done = thygan_run(*sources, "--out", folder / "out", "--split.arms", *ARMS, *small_options(120), "--json")
    assert done.returncode == 0, done.stdout
    return folder / "out", done.stdout


def test_every_stage_ran_in_its_container_and_the_report_is_written(finished):
    out, said = finished
    assert Path(json.loads(said.strip().splitlines()[-1])["report"]) == out / "report.html"
    for stage in ("tile external", "pack fold 1 binary", "gan_train fold all binary", "umap", "report"):
        assert f"{stage}: started" in said
    assert set(pd.read_csv(out / "external-predictions.csv")["arm"]) == set(ARMS)


def test_what_stages_made_belongs_to_the_user_who_is_not_root(finished):
    out, _ = finished
    made = [path for path in (out / "artifacts").rglob("*") if path.is_file()]
    assert made
    assert {path.stat().st_uid for path in made if path.suffix != ".json"} == {os.getuid() or 65532}


def test_a_failing_stage_fails_the_run_with_its_own_sentence_last(tmp_path):
    (tmp_path / "empty").mkdir()
    done = thygan_run("--source", tmp_path / "empty", "--out", tmp_path / "out")
    assert done.returncode == 1
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("error: stage tile failed:")
    assert "empty" in last
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "out" / "report.html").exists()
