"""What killed writers leave beside an output goes with the next writer of the same output, and nothing else does."""

import os
import signal
import sys
import time
from pathlib import Path

from components.core.io import partial_files
from components.core.io.atomic_files import atomic_write, write_text

sys.path.insert(0, str(Path(__file__).parents[1]))
pytest_plugins = ["real_s3"]


def writing(path, is_folder):
    """Work for a child: writes, and never ends."""

    def work(tell):
        with atomic_write(path) as beside:
            (beside.mkdir() or beside / "part" if is_folder else beside).write_bytes(b"half")
            tell(beside.name)
            time.sleep(600)

    return work


def left_by_a_kill(forked, path, is_folder=False):
    with forked(writing(path, is_folder)) as (process, hear):
        part = path.with_name(hear())
        os.kill(process, signal.SIGKILL)
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    assert part.exists()
    return part


def hidden(folder):
    return {path.name for path in folder.iterdir() if path.name.startswith(".")}


def test_the_next_writer_sweeps_what_a_killed_one_left(tmp_path, forked):
    for is_folder in (False, True):
        left_by_a_kill(forked, tmp_path / "out[1]*.json", is_folder)
        write_text(tmp_path / "out[1]*.json", "whole")
        assert [path.name for path in tmp_path.iterdir()] == ["out[1]*.json"]


def test_a_living_writer_and_other_outputs_are_left_alone(tmp_path, forked):
    other = left_by_a_kill(forked, tmp_path / "out.json.gz")
    strange = {".out.json.part", ".out.json.tmp.part", ".out.json.0123abcd-x-1.part"}
    for name in strange:
        (tmp_path / name).touch()
    with forked(writing(tmp_path / "out.json", is_folder=True)) as (_, hear):
        living = hear()
        write_text(tmp_path / "out.json", "whole")
        assert hidden(tmp_path) == {living, other.name, *strange}
    write_text(tmp_path / "out.json", "whole")
    assert hidden(tmp_path) == {other.name, *strange}


def test_a_number_that_another_process_has_now_keeps_nothing(tmp_path):
    own = partial_files.partial_path(tmp_path / "out").name
    start = own.removesuffix(".part").rpartition("-")[2]
    earlier = tmp_path / own.replace(f"-{start}.part", f"-{int(start) - 1}.part")
    earlier.touch()
    partial_files.remove_stale_partials(tmp_path / "out")
    assert not hidden(tmp_path)
    (tmp_path / own).touch()
    partial_files.remove_stale_partials(tmp_path / "out")
    assert hidden(tmp_path) == {own}


def test_what_another_pod_writes_on_the_volume_is_judged_by_its_age(tmp_path, monkeypatch):
    """Its process numbers mean nothing here: 1 lives in every pod."""
    theirs = tmp_path / ".out.01234567-1-77.part"
    (theirs / "inside").mkdir(parents=True)
    partial_files.remove_stale_partials(tmp_path / "out")
    assert theirs.exists()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + partial_files.OTHER_HOST_KEEP_S + 60)
    partial_files.remove_stale_partials(tmp_path / "out")
    assert not hidden(tmp_path)
