"""Destinations that cannot be written, fill up, or whose writer is killed: complete or absent, and one sentence."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tile_folder import OUTPUTS, make_folder, tile, write_csv, write_image

from components.core.data.archive import ImageArchive
from components.core.errors import StoreError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mounted(tmp_path):
    """A file system in memory, of a size; skips where mounting is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"skipped: no file system can be mounted here ({done.stderr.strip()})")
        return place

    yield mount
    subprocess.run(["umount", place], capture_output=True)


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "Hospital", width=400, height=400)


@pytest.mark.parametrize("size", ["size=64k", "size=1m", "size=1900k"])
def test_full_disk(mounted, folder, size):
    place = mounted(size)
    with pytest.raises(StoreError, match=r"disk.* cannot be written \(No space left on device\)"):
        tile(place, folder)
    assert not list(place.iterdir())


def test_disk_that_copies_fill(mounted, tmp_path, folder):
    """What is brought out of a zip lies beside the destination."""
    import zipfile

    with zipfile.ZipFile(tmp_path / "Hospital.zip", "w") as archive:
        for file in (path for path in folder.rglob("*") if path.is_file()):
            archive.write(file, file.relative_to(folder))
    place = mounted("size=256k")
    with pytest.raises(StoreError, match=r"cannot be written \(No space left on device\)"):
        tile(place, tmp_path / "Hospital.zip")
    assert not list(place.iterdir())


def test_read_only_disk(mounted, folder):
    place = mounted("ro")
    with pytest.raises(StoreError, match=r"tiles.zip cannot be written \(Read-only file system\)"):
        tile(place, folder)


def test_destination_below_a_file(tmp_path, folder):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"tiles.zip cannot be written \((Not a directory|File exists)\)"):
        tile(tmp_path / "file", folder)


def names(folder):
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_killed_in_the_middle_leaves_nothing_and_the_next_run_is_whole(tmp_path):
    folder = tmp_path / "Hospital"
    rows = [(f"{n}a.png", str(n), n % 2, "PTC" if n % 2 else "FA") for n in range(40)]
    for number, (name, *_) in enumerate(rows):
        write_image(folder / "images" / name, 300, 300, seed=number)
    write_csv(folder / "meta.csv", rows)
    out = tmp_path / "out"
    files = [
        word for name, kind in OUTPUTS.items() for word in (f"--{name.replace('_', '-')}", str(out / f"{name}{kind}"))
    ]
    command = [sys.executable, "-m", "components.tile", "--sources", str(folder), "--mpp", "*=0.5", "--tile-px", "16"]
    process = subprocess.Popen([*command, *files], cwd=ROOT, stdout=subprocess.DEVNULL)
    give_up = time.monotonic() + 60
    while not any(part.stat().st_size > 100_000 for part in out.glob(f".tiles.zip.*-{process.pid}-*.part")):
        assert process.poll() is None and time.monotonic() < give_up, "it was over before it could be killed"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert names(out) == set()
    assert list(out.glob(".*.part"))
    tile(out, folder)
    assert not list(out.glob(".*.part"))
    assert names(out) == {f"{name}{kind}" for name, kind in OUTPUTS.items()}
    with ImageArchive(out / "tiles.zip") as archive:
        assert len(archive) == 40 * 19 * 19
