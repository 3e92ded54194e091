"""Memory that is not enough: one sentence, no partial output, and with enough the same command ends as it should.

Little room is an address space that ends soon after what is loaded; a process that the system kills for its memory is
killed here as the system does it. `make chaos` tries every stage.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from chain import ENVIRONMENT, absent, content
from PIL import Image
from processes import ROOT, STAGES, Process, run_to_end
from record import tried

from components.core.runtime.cli import execute, new_app

pytest_plugins = ["study"]

LONG = int(os.environ.get("THYGAN_CHAOS", "2")) >= 10
MB = 1 << 20
ROOMS_MB = (4, 16, 32, 64, 128, 256)
SHORT = {("gan_train", 32), ("fid_select", 16), ("classifier_cv", 4)}
CASES = [(stage, room) for stage in STAGES for room in ROOMS_MB if LONG or (stage, room) in SHORT]


@pytest.mark.parametrize(("stage", "room_mb"), CASES)
def test_little_room(stage, room_mb, study, tmp_path):
    study.upto(stage)
    command, out = study.commands[stage], tmp_path / "out"
    whole = content(study.folder / stage, command)
    with tried("memory", stage=stage, fault="little memory") as row:
        process = Process(tmp_path / "first", stage, command.words(out), room_bytes=room_mb * MB, **ENVIRONMENT)
        code, _, complained = process.result()
        torn = {name for name, digest in content(out, command).items() if whole.get(name) != digest}
        assert not torn, f"half-written, or another: {torn}"
        if code == 0:
            assert not absent(out, command)
            return
        row["outcome"] = _told(code, complained)
        run_to_end(tmp_path / "again", stage, command.words(out), **ENVIRONMENT)
        assert content(out, command) == whole


def _told(code, complained):
    """A sentence, after what others' libraries may say; none where one of those ended the process."""
    if code < 0:
        return f"ended by signal {-code}"
    assert "Traceback" not in complained
    assert complained.strip().splitlines()[-1].startswith("error: Out of memory in "), complained
    return "Out of memory (…). No partial output was left. Give the process more memory, or less to hold at once."


def test_a_thread_without_memory(study, tmp_path):
    """Threads decode images ahead: memory that is not enough there is the stage's."""
    study.upto("tile")
    images = tmp_path / "large/images"
    images.mkdir(parents=True)
    Image.new("RGB", (9000, 9000)).save(images / "1a.png", compress_level=1)  # 243 MB of pixels
    (images / "meta.csv").write_text("file,class,patient,diagnosis\n1a.png,1,1,PTC\n")
    command, out = study.commands["tile"], tmp_path / "out"
    words = command.words(out, sources=[tmp_path / "large"])
    with tried("memory", stage="tile", fault="a decoding thread without memory") as row:
        code, _, complained = Process(tmp_path / "said", "tile", words, room_bytes=128 * MB, **ENVIRONMENT).result()
        assert code == 1, complained
        assert len(complained.strip().splitlines()) == 1, complained
        row["outcome"] = _told(code, complained)
        assert not [path for path in out.rglob("*") if path.is_file()]


def test_tensors_without_memory_are_one_sentence(capsys):
    app = new_app("x")

    @app.default
    def work():
        torch.empty(10**15)

    with pytest.raises(SystemExit) as ended:
        execute(app, [])
    assert ended.value.code == 1
    assert "Out of memory (" in capsys.readouterr().err


def test_one_of_the_processes_that_train_is_killed(study, tmp_path):
    study.upto("classifier_cv")
    command, out = study.commands["classifier_cv"], tmp_path / "out"
    keeps = {"checkpoint_uri": tmp_path / "kept"}
    words = command.words(out, device="cpu,cpu", **keeps)
    environment = {**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    with tried("memory", stage="classifier_cv", fault="one of two processes killed by the system") as row:
        process = subprocess.Popen(
            [sys.executable, "-m", "components.classifier_cv", *words],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        os.kill(_workers(process, 2)[1], signal.SIGKILL)
        _, complained = process.communicate(timeout=600)
        lines = [line for line in complained.strip().splitlines() if line.startswith("error: ")]
        assert process.returncode == 1, complained
        assert "Traceback" not in complained
        assert "was killed, most likely because memory ran out" in lines[0]
        row["outcome"] = lines[0].removeprefix("error: ")
        assert absent(out, command) == set(command.outputs.values())
        run_to_end(tmp_path / "said", "classifier_cv", command.words(out, **keeps), **ENVIRONMENT)
        assert content(out, command) == content(study.folder / "classifier_cv", command)


def _workers(process, count):
    """The processes that train, once they are there."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        found = [child for child in _children(process.pid) if b"spawn_main" in _read(f"/proc/{child}/cmdline")]
        if len(found) == count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {count} of them: {process.communicate()[1][-2000:]}")


def _children(pid):
    return [int(one) for one in _read(f"/proc/{pid}/task/{pid}/children").split()]


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
