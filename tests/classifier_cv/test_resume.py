"""A killed stage goes on and gives what an uninterrupted one gives; several devices give what one gives."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_fold import Result

from components.classifier_cv.checkpoints import Kept, kept_states
from components.core.errors import StoreError

ARMS = ["none", "bi100"]
OPTIONS = {"arms": ARMS, "epochs": 3, "learning_rate": 0.003, "checkpoint_minutes": 0.0}
OUTCOMES = ("predictions.csv", "page.html", "classifiers/classifiers.json", "classifiers/none/seed0.safetensors",
            "classifiers/bi100/seed1.safetensors")  # fmt: skip


def equal(one: Result, other: Result) -> bool:
    return all((one.folder / name).read_bytes() == (other.folder / name).read_bytes() for name in OUTCOMES)


@pytest.fixture(scope="module")
def whole(toy):
    return toy.run("whole", **OPTIONS)


def test_killed_and_begun_again_gives_the_same(toy, whole, tmp_path):
    kept_states_before_the_kill = 8  # within the third training
    killed = toy.folder / "killed"
    options = {**toy.options(killed), **OPTIONS, "checkpoint_uri": str(tmp_path / "kept")}
    script = Path(__file__).with_name("killed.py")
    process = subprocess.run(
        [sys.executable, script, json.dumps(options), str(kept_states_before_the_kill)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert not (killed / "predictions.csv").exists() and not (killed / "classifiers").exists()
    assert list((tmp_path / "kept").rglob("none-seed0.safetensors"))

    trained = []
    forward = torch.nn.functional.cross_entropy

    def counted(answers, labels):
        trained.append(answers.requires_grad)
        return forward(answers, labels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.classifier_cv.train.F.cross_entropy", counted)
        again = toy.run(killed.name, **OPTIONS, checkpoint_uri=str(tmp_path / "kept"))
    assert equal(again, whole)
    epochs = len(ARMS) * 2 * OPTIONS["epochs"]
    assert trained.count(False) == epochs - kept_states_before_the_kill  # what was done was not done again
    assert not list((tmp_path / "kept").rglob("*.safetensors"))


def test_two_devices_give_what_one_gives(toy, whole):
    assert equal(toy.run("spread", **OPTIONS, device="cpu,cpu"), whole)


def test_other_settings_begin_anew(tmp_path):
    with kept_states(str(tmp_path), 0, "binary", "0", {"epochs": 1}) as first:
        first.write("none-seed0", {"a": torch.ones(2)})
        with pytest.raises(StoreError), kept_states(str(tmp_path), 0, "binary", "0", {"epochs": 1}):
            pass
        with kept_states(str(tmp_path), 0, "binary", "0", {"epochs": 2}) as second:
            assert second.read("none-seed0") is None and first.read("none-seed0")["a"].tolist() == [1, 1]
    assert first.read("none-seed0") is None


def test_a_torn_state_begins_anew_and_says_so(tmp_path, capsys):
    kept = Kept(str(tmp_path), 0)
    kept.write("bi100-seed1", {"a": torch.ones(2)})
    file = tmp_path / "bi100-seed1.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    assert kept.read("bi100-seed1") is None
    assert "starts anew" in capsys.readouterr().out


def test_a_state_that_finds_no_place_ends_nothing(tmp_path, capsys):
    (tmp_path / "none-seed0.safetensors").mkdir()
    kept = Kept(str(tmp_path), 0)
    kept.write("none-seed0", {"a": torch.ones(2)})
    said = capsys.readouterr().out
    assert "cannot be written" in said
    assert "The training goes on" in said
    kept.write("none-seed1", {"a": torch.ones(2)})
    assert kept.read("none-seed0") is None
    assert kept.read("none-seed1")["a"].tolist() == [1, 1]
