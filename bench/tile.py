"""Tiles and packs fields against StyleGAN's way of converting them; shows memory, and what one object saves.

    python bench/tile.py FIELDS                         a folder of images; they are resampled to 1916x1053 JPEG
    python bench/tile.py FIELDS --bucket s3://b/prefix  also passes 10 000 tiles through a bucket (see core/store/s3.py)

Everything runs as a user runs it, each step a process of its own; CPU time is the processes' own, start included.
The converter is written from the description of StyleGAN2-ADA's: one process, centre crop, Pillow's Lanczos, PNG at
compression 0, stored in a zip. Ratios are medians over interleaved rounds.
"""

import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cyclopts
import numpy as np
from PIL import Image

from components.core.data.archive import ArchiveWriter
from components.core.store import open_store

WIDTH, HEIGHT, TILE_PX, OF_A_PATIENT = 1916, 1053, 512, 10
TILES_OF_A_FIELD = 8
CONVERTER = """
import io, sys, zipfile
from pathlib import Path
import numpy as np
from PIL import Image
with zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_STORED) as archive:
    for index, path in enumerate(sorted(Path(sys.argv[1]).glob("images/*.jpeg"))):
        pixels = np.array(Image.open(path))
        side = min(pixels.shape[:2])
        top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
        crop = Image.fromarray(pixels[top:top + side, left:left + side]).resize((512, 512), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        crop.save(buffer, "PNG", compress_level=0, optimize=False)
        archive.writestr(f"{index // 1000:05d}/img{index:08d}.png", buffer.getvalue())
"""


@dataclass(frozen=True)
class Used:
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_mib: float

    def __add__(self, other: "Used") -> "Used":
        return Used(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, max(self.peak_mib, other.peak_mib))


def measure_process(*arguments: object) -> Used:
    """Runs Python with these arguments and waits."""
    start = time.monotonic()
    environment = {**os.environ, "THYGAN_STUDY_KEY": "a study key for benchmarks", "OMP_NUM_THREADS": "1"}
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    words = [sys.executable, *map(str, arguments)]
    process = os.posix_spawn(sys.executable, words, environment, file_actions=quiet)
    peak_mib, done = 0.0, 0
    while not done:
        peak_mib = max(peak_mib, high_water_mib(process))
        done, status, usage = os.wait4(process, os.WNOHANG)
        time.sleep(0.02)
    if status:
        sys.exit(f"{' '.join(words[1:4])} failed")
    return Used(time.monotonic() - start, usage.ru_utime + usage.ru_stime, peak_mib)


def high_water_mib(process: int) -> float:
    """Most memory so far; getrusage's own would count what this process had when it started the other."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def make_fields(originals: Path, folder: Path, count: int, size: tuple[int, int]) -> Path:
    """`count` JPEG files, two classes, ten of a patient; what stands in for another image is one that is rolled on."""
    (folder / "images").mkdir(parents=True)
    known = [np.asarray(Image.open(path).convert("RGB").resize(size)) for path in sorted(originals.glob("*.jp*g"))[:20]]
    rows = []
    for index in range(count):
        name = f"{index // OF_A_PATIENT + 1}{'abcdefghij'[index % OF_A_PATIENT]}.jpeg"
        turn, which = divmod(index, len(known))
        Image.fromarray(np.roll(known[which], 7 * turn, axis=1)).save(folder / "images" / name, quality=92)
        rows.append([name, index // OF_A_PATIENT % 2])
    (folder / "labels.json").write_text(json.dumps({"labels": rows}))
    return folder


def run_tile(fields: Path, out: Path, tile_px: int = TILE_PX) -> Used:
    """The tile stage as a process."""
    outputs = {
        name: out / name for name in ("tiles", "manifest", "tile-page", "data-card", "card-values", "tile-record")
    }
    words = [word for name, path in outputs.items() for word in (f"--{name}", path)]
    return measure_process(
        "-m", "components.tile", "--sources", fields, "--patient-pattern", "tharun-thompson", "--mpp", "*=0.25",
        "--tile-px", tile_px, *words,
    )  # fmt: skip


def run_pack(out: Path) -> Used:
    """The pack stage as a process, on the plan that split makes first (not counted)."""
    plan = {name: out / name for name in ("plan", "study")}
    measure_process(
        "-m", "components.split", "--manifest", out / "manifest", "--arms", "none", "bi100",
        "--split-record", out / "split",
        *[word for name, path in plan.items() for word in (f"--{name}", path)],
    )  # fmt: skip
    return measure_process(
        "-m", "components.pack", "--tiles", out / "tiles", "--plan", plan["plan"], "--dataset", out / "dataset",
        "--held-out", out / "held_out", "--pack-record", out / "packed", "--fold", "all",
    )  # fmt: skip


def compare_converters(originals: Path, scratch: Path, count: int, rounds: int) -> None:
    """Images and pixels a second, each way."""
    fields = make_fields(originals, scratch / "fields", count, (WIDTH, HEIGHT))
    (scratch / "converter.py").write_text(CONVERTER)
    runs: dict[str, list[Used]] = {"converter": [], "tile": [], "tile + pack": []}
    for _ in range(rounds):
        runs["converter"].append(measure_process(scratch / "converter.py", fields, scratch / "converted.zip"))
        runs["tile"].append(run_tile(fields, scratch / "out"))
        runs["tile + pack"].append(runs["tile"][-1] + run_pack(scratch / "out"))
    crop = min(WIDTH, HEIGHT) ** 2
    written = {"converter": TILE_PX**2, "tile": TILES_OF_A_FIELD * TILE_PX**2}
    print(f"{count} JPEG of {WIDTH}x{HEIGHT}, {os.cpu_count()} cores, median of {rounds} rounds\n")
    print(f"{'':<14}{'images/s':>9}{'cores':>7}{'per core:':>12}{'images/s':>10}{'Mpx read/s':>12}"
          f"{'Mpx used/s':>12}{'Mpx written/s':>15}{'peak MiB':>10}")  # fmt: skip
    rates: dict[str, list[float]] = {}
    for name, uses in runs.items():
        wall, cpu = (statistics.median(getattr(one, what) for one in uses) for what in ("wall_s", "cpu_s"))
        used_px = crop if name == "converter" else WIDTH * HEIGHT
        each = [WIDTH * HEIGHT, used_px, written.get(name, written["tile"])]
        rates[name] = [count * px / cpu / 1e6 for px in each]
        numbers = "".join(f"{rate:>{width}.1f}" for rate, width in zip(rates[name], (12, 12, 15), strict=True))
        peak = max(one.peak_mib for one in uses)
        print(f"{name:<14}{count / wall:>9.1f}{cpu / wall:>7.2f}{'':>12}{count / cpu:>10.1f}{numbers}{peak:>10.0f}")
    ratios = [ours / theirs for ours, theirs in zip(rates["tile + pack"], rates["converter"], strict=True)]
    print("tile + pack, times the converter, per core: " + ", ".join(
        f"{ratio:.2f} ({what})" for ratio, what in zip(ratios, ("read", "used", "written"), strict=True)
    ))  # fmt: skip


def compare_memory(originals: Path, scratch: Path, counts: tuple[int, ...]) -> None:
    """Peak memory of the tile stage over the number of images."""
    print("\nfields of 512x512, one tile each")
    for count in counts:
        fields = make_fields(originals, scratch / f"many{count}", count, (TILE_PX, TILE_PX))
        print(f"  {count:>6} images: {run_tile(fields, scratch / f'out{count}').peak_mib:>6.0f} MiB at most")
        for file in (scratch / f"out{count}").iterdir():
            file.unlink()


def compare_objects(scratch: Path, bucket: str, count: int) -> None:
    """Seconds to pass tiles through a bucket, there and back: as one archive, and as loose files by 8 threads."""
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(100)]
    loose = scratch / "loose"
    loose.mkdir()
    with ArchiveWriter(scratch / "passed.zip") as archive:
        for index in range(count):
            data = pixels[index % 100]
            archive.add(data, {"label": 0})
            Image.fromarray(data).save(loose / f"{index}.png", compress_level=1)
    store = open_store(bucket)

    def one() -> None:
        store.put(scratch / "passed.zip", "tiles.zip")
        store.get("tiles.zip", scratch / "back.zip")

    def many() -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda path: store.put(path, f"tiles/{path.name}"), loose.iterdir()))
            list(pool.map(lambda path: store.get(f"tiles/{path.name}", scratch / "back" / path.name), loose.iterdir()))

    seconds = {what: seconds_of(work) for what, work in {"one archive": one, "loose files": many}.items()}
    print(f"\n{count} tiles of 64 px through {store.uri.partition('//')[0]}//, there and back")
    for what, s in seconds.items():
        print(f"  {what}: {s:.2f} s, {count / s:,.0f} tiles/s")
    print(f"  ratio {seconds['loose files'] / seconds['one archive']:.1f}")


def seconds_of(work: Callable[[], None]) -> float:
    """Seconds that it takes."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


def main(
    fields: Path,
    *,
    images: int = 200,
    rounds: int = 3,
    memory: tuple[int, ...] = (500, 5000),
    bucket: str = "",
    tiles: int = 10_000,
) -> None:
    """Prints the tables.

    Args:
        fields: Folder of JPEG files.
        images: How many are converted.
        rounds: How often.
        memory: Numbers of images whose peak memory is shown.
        bucket: Prefix that tiles are passed through; empty = not.
        tiles: How many.
    """
    with tempfile.TemporaryDirectory() as scratch:
        compare_converters(fields, Path(scratch), images, rounds)
        compare_memory(fields, Path(scratch), memory)
        if bucket:
            compare_objects(Path(scratch), bucket, tiles)


if __name__ == "__main__":
    cyclopts.run(main)
