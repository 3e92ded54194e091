"""A killed stage resumes and equals an uninterrupted one; several devices give what one gives."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_fold import Result

from components.classifier_cv.checkpoints import CheckpointFolder, TrainingCheckpoints, checkpoint_folder
from components.core.errors import ConfigError, StoreError

ARMS = ["none", "bi100"]
OPTIONS = {"arms": ARMS, "epochs": 3, "learning_rate": 0.003, "checkpoint_minutes": 0.0}
OUTCOMES = ("predictions.csv", "page.html", "classifiers/classifiers.json", "classifiers/none/seed0.safetensors",
            "classifiers/bi100/seed1.safetensors")  # fmt: skip


def equal(first: Result, second: Result) -> bool:
    return all((first.folder / name).read_bytes() == (second.folder / name).read_bytes() for name in OUTCOMES)


@pytest.fixture(scope="module")
def whole(toy):
    return toy.run("whole", **OPTIONS)


def test_a_killed_stage_resumes_bit_equal(toy, whole, tmp_path):
    checkpoints_before_the_kill = 8  # within the third training
    killed = toy.folder / "killed"
    options = {**toy.options(killed), **OPTIONS, "checkpoint_uri": str(tmp_path / "checkpoints")}
    script = Path(__file__).with_name("run_and_kill.py")
    process = subprocess.run(
        [sys.executable, script, json.dumps(options), str(checkpoints_before_the_kill)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(script.parent), *sys.path]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert not (killed / "predictions.csv").exists() and not (killed / "classifiers").exists()
    assert list((tmp_path / "checkpoints").rglob("none-seed0-*.safetensors"))

    with_gradient = []
    forward = torch.nn.functional.cross_entropy

    def count_losses(outputs, labels):
        with_gradient.append(outputs.requires_grad)
        return forward(outputs, labels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.classifier_cv.train.F.cross_entropy", count_losses)
        again = toy.run(killed.name, **OPTIONS, checkpoint_uri=str(tmp_path / "checkpoints"))
    assert equal(again, whole)
    epochs = len(ARMS) * 2 * OPTIONS["epochs"]
    assert with_gradient.count(False) == epochs - checkpoints_before_the_kill  # no epoch is trained twice
    assert not list((tmp_path / "checkpoints").rglob("*.safetensors"))


def test_two_devices_give_what_one_gives(toy, whole):
    assert equal(toy.run("spread", **OPTIONS, device="cpu,cpu"), whole)


def test_other_options_start_from_the_beginning(tmp_path):
    with checkpoint_folder(str(tmp_path), 0, "binary", "0", {"epochs": 1}) as first:
        save(first, "none-seed0")
        with pytest.raises(StoreError), checkpoint_folder(str(tmp_path), 0, "binary", "0", {"epochs": 1}):
            pass
        with checkpoint_folder(str(tmp_path), 0, "binary", "0", {"epochs": 2}) as second:
            assert latest(second, "none-seed0") is None and latest(first, "none-seed0")["a"].tolist() == [1, 1]
    assert latest(first, "none-seed0") is None


def test_a_torn_checkpoint_starts_from_the_beginning_and_says_so(tmp_path, capsys):
    folder = CheckpointFolder(str(tmp_path), 0)
    save(folder, "bi100-seed1")
    (file,) = tmp_path.glob("bi100-seed1-*.safetensors")
    file.write_bytes(file.read_bytes()[:-3])
    assert latest(folder, "bi100-seed1") is None
    assert "starts from the beginning" in capsys.readouterr().out


def test_a_checkpoint_that_cannot_be_written_ends_nothing(tmp_path, capsys):
    (tmp_path / "none-seed0-000000000001.safetensors").mkdir()
    folder = CheckpointFolder(str(tmp_path), 0)
    save(folder, "none-seed0")
    output = capsys.readouterr().out
    assert "cannot be written" in output
    assert "The training continues" in output
    save(folder, "none-seed1")
    assert latest(folder, "none-seed0") is None
    assert latest(folder, "none-seed1")["a"].tolist() == [1, 1]


def test_checkpoints_of_an_earlier_version_are_refused(tmp_path):
    old = tmp_path / "classifier_cv" / "binary" / "0" / "0123456789ab" / "bi100-real-seed0.safetensors"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"")
    with (
        pytest.raises(ConfigError, match=r"earlier version \(0123456789ab/bi100-real-seed0"),
        checkpoint_folder(str(tmp_path), 0, "binary", "0", {}),
    ):
        pass


def save(folder: CheckpointFolder, name: str) -> None:
    with TrainingCheckpoints(folder, name) as checkpoints:
        checkpoints.save({"a": torch.ones(2)}, 1)


def latest(folder: CheckpointFolder, name: str) -> dict[str, Any] | None:
    with TrainingCheckpoints(folder, name) as checkpoints:
        return checkpoints.latest()
