"""A disk that is full: one sentence, no partial output, and with room the same command ends as it would have.

The disk is a real one, of limited size, in memory. `make chaos` tries every stage, with its outputs and with its
temporary files there.
"""

import math
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chain import ENVIRONMENT, absent, content
from processes import STAGES, Process, run_to_end
from record import tried

pytest_plugins = ["study"]

LONG = int(os.environ.get("THYGAN_CHAOS", "2")) >= 10
PAGE_BYTES, ROOM = os.sysconf("SC_PAGE_SIZE"), "256m"
SHORT = {("tile", 0.5), ("pack", 0.95), ("gan_train", 0.5)}
SHARES = (0.0, 0.3, 0.5, 0.7, 0.95)  # of the room that the outputs take
CASES = [(stage, share) for stage in STAGES for share in SHARES if LONG or (stage, share) in SHORT]


@contextmanager
def disk(folder, size):
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"skipped: a small disk cannot be mounted here ({done.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def give_room(folder):
    subprocess.run(["mount", "-o", f"remount,size={ROOM}", folder], check=True)


def pages_of(out, command):
    """What a command's outputs take on such a disk."""
    tops = [out / name for name in command.outputs.values()]
    files = [path for top in tops for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
    return sum(math.ceil(path.stat().st_size / PAGE_BYTES) for path in files)


def told(complained):
    lines = complained.strip().splitlines()
    assert len(lines) == 1, complained
    assert lines[0].startswith("error: "), complained
    assert "No space left on device" in lines[0], complained
    return lines[0].removeprefix("error: ")


@pytest.mark.parametrize(("stage", "share"), CASES)
def test_outputs_on_a_full_disk(stage, share, study, tmp_path):
    study.upto(stage)
    command, made = study.commands[stage], study.folder / stage
    whole, size = content(made, command), max(1, int(share * pages_of(made, command))) * PAGE_BYTES
    with tried("disk", stage=stage, fault="no room for outputs") as row, disk(tmp_path / "disk", size):
        out = tmp_path / "disk/out"
        process = Process(tmp_path / "said", stage, command.words(out), **ENVIRONMENT)
        code, _, complained = process.result()
        assert code == 1, complained
        sentence = told(complained)
        found = content(out, command) if out.exists() else {}
        torn = {name for name, digest in found.items() if whole.get(name) != digest}
        assert not torn, f"half-written, or another: {torn}"
        assert absent(out, command)
        assert not list(out.rglob("*.part"))
        give_room(tmp_path / "disk")
        run_to_end(tmp_path / "said", stage, command.words(out), **ENVIRONMENT)
        assert content(out, command) == whole
        row["outcome"] = sentence.replace(str(out), "out") + " With room: complete, equal."


@pytest.mark.parametrize("stage", STAGES if LONG else ["fid_select"])
def test_temporary_files_on_a_full_disk(stage, study, tmp_path):
    study.upto(stage)
    command, whole = study.commands[stage], content(study.folder / stage, study.commands[stage])
    options = {"checkpoint_uri": tmp_path / "kept", "checkpoint_minutes": 0} if stage == "classifier_cv" else {}
    words = command.words(tmp_path / "out", **options)
    with (
        tried("disk", stage=stage, fault="no room for temporary files") as row,
        disk(tmp_path / "disk", 2 * PAGE_BYTES),
    ):
        (tmp_path / "disk/full").write_bytes(b"x" * PAGE_BYTES)  # Python tries its folder with a few bytes
        environment = {**ENVIRONMENT, "TMPDIR": str(tmp_path / "disk")}
        code, _, complained = Process(tmp_path / "said", stage, words, **environment).result()
        if code:
            sentence = told(complained)
            assert not content(tmp_path / "out", command)
            give_room(tmp_path / "disk")
            run_to_end(tmp_path / "said", stage, words, **environment)
            row["outcome"] = sentence.replace(str(tmp_path), "") + " With room: complete, equal."
        else:
            row["outcome"] = "complete, equal"
        assert content(tmp_path / "out", command) == whole
        assert [one.name for one in (tmp_path / "disk").iterdir()] == ["full"]
