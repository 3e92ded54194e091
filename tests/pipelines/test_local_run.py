"""The whole study as a user starts it: real processes, real trainings of seconds, killed once on the way."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipelines.demo import write_study
from tests.pipelines.small_study import small_options

ARMS = ["none", "stain-aug", "stain-norm", "bi100", "bi100-real", "bi200", "bi200-real"]
ARMS += ["mc", "mc-real", "mc100", "mc100-real"]
OPTIONS = small_options(120)


def thygan(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **options,
    )


def finished(process, seconds=1500):
    output, _ = process.communicate(timeout=seconds)
    return process.returncode, output


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "study"
    write_study(folder, seed=3, patients=20, images_per_patient=1, size_px=96, external_patients=12)
    return folder


@pytest.fixture(scope="module")
def runs(fields, tmp_path_factory):
    """The same command twice: killed in the middle of the folds, then left alone."""
    out = tmp_path_factory.mktemp("runs") / "study"
    command = ["run", "--source", fields / "hospital-a", "--external", fields / "hospital-b", "--out", out]
    command += ["--split.arms", *ARMS, *OPTIONS, "--json"]
    first = thygan(*command)
    seen = []
    for line in first.stdout:
        seen.append(line)
        if "gan_train" in line and "done in" in line:
            os.killpg(first.pid, signal.SIGKILL)
            break
    first.wait()
    code, again = finished(thygan(*command))
    assert code == 0, again[-3000:]
    return out, "".join(seen), again


def started(output):
    return re.findall(r"^ *[\d.]+ s  (.*): started$", output, re.MULTILINE)


def test_a_killed_run_goes_on_from_the_cache(runs):
    _, first, again = runs
    assert {"tile", "tile external", "split"} <= set(started(first))
    assert not {"tile", "tile external", "split"} & set(started(again))
    assert "report" in started(again)


def test_both_schemes_and_every_arm_are_trained_and_predicted(runs):
    out, _, again = runs
    external = pd.read_csv(out / "external-predictions.csv")
    assert set(external["arm"]) == set(ARMS)
    assert external["prob_positive"].between(0, 1).all()
    for scheme in ("binary", "diagnosis"):
        for fold in ("0", "1", "all"):
            assert f"classifier_cv fold {fold} {scheme}" in started(again)
    tiles = external.groupby("arm").size()
    assert tiles.nunique() == 1, "every arm is shown every external tile"


def test_report_is_one_file_and_says_where_it_lies(runs):
    out, _, again = runs
    outcome = json.loads(again.strip().splitlines()[-1])
    assert Path(outcome["report"]) == out / "report.html"
    assert f"report: {out / 'report.html'}" in again
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "always" in page
    assert (out / "report.md").stat().st_size > 0
    assert json.loads((out / "metrics.json").read_text())["stage"] == "report"


def test_a_finished_study_costs_nothing_again(runs, fields):
    out, _, _ = runs
    command = ["run", "--source", fields / "hospital-a", "--external", fields / "hospital-b", "--out", out]
    code, output = finished(thygan(*command, "--split.arms", *ARMS, *OPTIONS))
    assert code == 0
    assert started(output) == []


def test_changed_data_are_not_taken_from_the_cache(runs, fields):
    out, _, _ = runs
    command = ["run", "--source", fields / "hospital-a", "--external", fields / "hospital-b", "--out", out]
    table = fields / "hospital-a" / "meta.csv"
    before = table.stat().st_mtime_ns
    os.utime(table, ns=(before, before + 1_000_000))
    process = thygan(*command, "--split.arms", *ARMS, *OPTIONS)
    first = next(line for line in process.stdout if line.rstrip().endswith(": started"))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    os.utime(table, ns=(before, before))
    assert "tile" in first


def test_a_failing_stage_fails_the_run_with_its_own_message_last(tmp_path):
    (tmp_path / "empty").mkdir()
    code, output = finished(thygan("run", "--source", tmp_path / "empty", "--out", tmp_path / "out"))
    assert code == 1
    last = output.strip().splitlines()[-1]
    assert last.startswith("error: stage tile failed:")
    assert "empty" in last
    assert "Traceback" not in output
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--out", "out"], "--source"),
        (["run", "--source", "nowhere", "--out", "out"], "nowhere"),
        (["run", "--profile", "nothing", "--out", "out"], "profile"),
        (["run", "--source", ".", "--mpp", "0.5", "--out", "out"], "SITE=VALUE"),
        (["run", "--source", ".", "--labels", "nowhere.csv", "--out", "out"], "nowhere.csv"),
        (["run", "--source", ".", "--local-workers", "0", "--out", "out"], "--local-workers"),
    ],
)
def test_bad_options_are_one_sentence(arguments, sentence, tmp_path):
    code, output = finished(thygan(*arguments, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path.cwd())}))
    assert code == 1
    assert output.strip().splitlines()[-1].startswith("error: ")
    assert sentence in output
    assert "Traceback" not in output


def test_a_users_folder_is_left_alone(runs, fields):
    assert sorted(path.name for path in fields.iterdir()) == ["README.txt", "hospital-a", "hospital-b"]
