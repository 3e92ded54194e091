"""What is written is complete or absent, whatever the disk and the process go through."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.core.data.archive import ImageArchive
from components.core.errors import StoreError

ROOT = Path(__file__).parents[2]
DISK_BYTES = 256 << 10


@pytest.fixture
def disk(tmp_path):
    """A file system of 256 kB; returns its folder and a function that makes it read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    if not mount(f"size={DISK_BYTES}"):
        pytest.skip("skipped: this user may not mount a file system")
    try:
        yield folder, lambda: mount("remount", "ro")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, write_tiles, plan, pack, disk):
    folder, _ = disk
    tiles = write_tiles(tmp_path / "large.zip", side=128)  # 12 training tiles of 48 kB
    with pytest.raises(StoreError, match=r"dataset.zip cannot be written \(No space left on device\)"):
        pack(tiles, plan, dataset=str(folder / "dataset.zip"))
    assert list(folder.iterdir()) == []


def test_disk_that_is_full_at_the_end_leaves_what_was_complete(tmp_path, write_tiles, plan, pack, disk):
    folder, _ = disk
    tiles = write_tiles(tmp_path / "tiles.zip", side=64)  # 12 training tiles and 4 held out, of 12 kB
    (folder / "others").write_bytes(b"\0" * (60 << 10))
    with pytest.raises(StoreError, match=r"held_out.zip cannot be written \(No space left on device\)"):
        pack(tiles, plan, dataset=str(folder / "dataset.zip"), held_out=str(folder / "held_out.zip"))
    assert sorted(one.name for one in folder.iterdir()) == ["dataset.zip", "others"]
    with ImageArchive(folder / "dataset.zip") as archive:
        assert len(list(archive.images())) == len(archive) == 12


def test_read_only_destination_is_one_sentence(tiles, plan, pack, disk):
    folder, make_read_only = disk
    make_read_only()
    with pytest.raises(StoreError, match=r"dataset.zip cannot be written \(Read-only file system\)"):
        pack(tiles, plan, dataset=str(folder / "dataset.zip"))


def test_a_file_in_the_place_of_a_folder_is_one_sentence(tmp_path, tiles, plan, pack):
    (tmp_path / "file").write_text("here before")
    with pytest.raises(StoreError, match=r"dataset.zip cannot be written \((File exists|Not a directory)\)"):
        pack(tiles, plan, dataset=str(tmp_path / "file/dataset.zip"))
    assert (tmp_path / "file").read_text() == "here before"


def killed_while_writing(command, out):
    """Starts the command and kills it as soon as it writes; False where it was done sooner than it could be killed."""
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        until = time.monotonic() + 60
        while not any(part.stat().st_size for part in out.glob(".dataset.*.part")):
            assert time.monotonic() < until, "nothing was written in a minute"
            if process.poll() is not None:
                return False
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL and not (out / "dataset").exists()
    finally:
        process.kill()
        process.wait()


def test_killed_in_the_middle_leaves_no_dataset_and_the_next_run_is_whole(tmp_path, write_tiles, plan, pack):
    tiles = write_tiles(tmp_path / "large.zip", side=256, each=15)
    for attempt in range(5):
        out = tmp_path / f"out{attempt}"
        options = [f"--{name.replace('_', '-')}={out / name}" for name in ("dataset", "held_out", "pack_record")]
        command = [sys.executable, "-m", "components.pack", f"--tiles={tiles}", f"--plan={plan}", "--fold=0", *options]
        if killed_while_writing(command, out):
            break
    else:
        pytest.fail("it was never caught in the middle")
    assert not list(out.glob("[!.]*"))
    with ImageArchive(pack(tiles, plan)["dataset"]) as archive:
        assert len(list(archive.images())) == 90
