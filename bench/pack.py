"""Packs a tile set against Pillow's way of writing it; shows memory, reading, and the folds against scikit-learn's.

    python bench/pack.py FIELDS          a folder of images to cut the tiles from

Pack runs as a user runs it, as a process of its own, start included; so does its peer, which reads every tile of the
same set and writes it to a stored zip as StyleGAN's converter does: Pillow, PNG at compression 0, one process. Tiles
and pixels a second are per second of CPU time, that is per core used. Ratios are medians over interleaved rounds.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cyclopts
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.protocol.lineage import identity, key_id
from components.core.protocol.split_plan import SplitPlan
from components.split.folds import draw_stratified_folds
from components.split.patients import read_patients

KEY = b"a study key for benchmarks"
PEER = """
import io, sys, zipfile
from PIL import Image
with zipfile.ZipFile(sys.argv[1]) as tiles, zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_STORED) as archive:
    for name in sorted(one for one in tiles.namelist() if one.endswith(".png")):
        buffer = io.BytesIO()
        Image.open(io.BytesIO(tiles.read(name))).convert("RGB").save(buffer, "PNG", compress_level=0, optimize=False)
        archive.writestr(name, buffer.getvalue())
"""
# Runs a script, then notes its own peak: rusage's would be the parent's where that was larger
MEASURED = """
import re, runpy, sys
peak, script, *sys.argv[1:] = sys.argv[1:]
runpy.run_path(script, run_name="__main__") if script.endswith(".py") else runpy.run_module(script, run_name="__main__")
with open("/proc/self/status") as status, open(peak, "w") as file:
    file.write(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1])
"""
# Tharun and Thompson's patients, each with ten fields of eight tiles
COHORT = {"FA": (53, 0), "FTC": (32, 0), "PTC": (53, 1), "NIFTP": (9, 1), "FVPTC": (9, 1)}


@dataclass(frozen=True)
class Used:
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def measure_process(scratch: Path, script: str | Path, *arguments: object) -> Used:
    """Runs a module or a script (.py) with these arguments and waits."""
    peak = scratch / "peak"
    words = [sys.executable, "-c", MEASURED, *map(str, (peak, script, *arguments))]
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    start = time.monotonic()
    process = os.posix_spawn(sys.executable, words, {**os.environ, "OMP_NUM_THREADS": "1"}, file_actions=quiet)
    _, status, usage = os.wait4(process, 0)
    if status:
        sys.exit(f"{script} failed")
    return Used(time.monotonic() - start, usage.ru_utime + usage.ru_stime, int(peak.read_text()) / 1024)


def make_tiles(path: Path, fields: list[np.ndarray], count: int, side_px: int, compress_level: int) -> Path:
    """A tile set of `count` tiles of 20 patients, cut from fields [H, W, 3] at random, and a plan beside it."""
    rng = np.random.default_rng(0)
    with ArchiveWriter(path, compress_level) as archive:
        for index in range(count):
            field, patient = fields[index % len(fields)], str(index % 20)
            y, x = (int(rng.integers(0, size - side_px + 1)) for size in field.shape[:2])
            row = {"patient": patient, "case": patient, "site": "Home", "identity": identity(KEY, "Home", patient)}
            of_class = {"label": index % 2, "diagnosis": ("FA", "PTC")[index % 2], "source": f"{index}.jpeg"}
            archive.add(
                np.ascontiguousarray(field[y : y + side_px, x : x + side_px]), {**row, **of_class, "x": x, "y": y}
            )
    who = [identity(KEY, "Home", str(patient)) for patient in range(20)]
    folds = {"all": {"train": sorted(who[:16]), "val": sorted(who[16:]), "test": []}}
    SplitPlan(key_id(KEY), folds, "benchmark").write(path.with_suffix(".json"))
    return path


def run_pack(tiles: Path) -> Used:
    """The pack stage as a process."""
    outputs = {name: tiles.with_name(name) for name in ("dataset", "held_out", "pack_record")}
    words = [word for name, path in outputs.items() for word in (f"--{name.replace('_', '-')}", path)]
    inputs = ["--tiles", tiles, "--plan", tiles.with_suffix(".json"), "--fold", "all"]
    return measure_process(tiles.parent, "components.pack", *inputs, *words)


def compare_writing(fields: list[np.ndarray], scratch: Path, count: int, rounds: int) -> None:
    """Tiles and pixels a second of CPU time, from compressed and from stored tiles."""
    (scratch / "peer.py").write_text(PEER)
    print(f"{count} tiles of 512 px, median of {rounds} rounds\n")
    print(
        f"{'tile set':<12}{'':<8}{'tiles/s':>9}{'cores':>7}{'per core:':>12}{'tiles/s':>10}{'Mpx/s':>9}{'peak MiB':>10}"
    )
    for name, level in (("level 1", 1), ("stored", 0)):
        tiles = make_tiles(scratch / f"tiles{level}.zip", fields, count, 512, level)
        runs: dict[str, list[Used]] = {"Pillow": [], "pack": []}
        for _ in range(rounds):
            runs["Pillow"].append(measure_process(scratch, scratch / "peer.py", tiles, scratch / "peer.zip"))
            runs["pack"].append(run_pack(tiles))
        for what, uses in runs.items():
            wall, cpu = (statistics.median(getattr(one, key) for one in uses) for key in ("wall_s", "cpu_s"))
            print(f"{name:<12}{what:<8}{count / wall:>9.0f}{cpu / wall:>7.2f}{'':>12}{count / cpu:>10.0f}"
                  f"{count * 512**2 / cpu / 1e6:>9.1f}{max(one.peak_mib for one in uses):>10.0f}")  # fmt: skip
        ratios = [theirs.cpu_s / ours.cpu_s for ours, theirs in zip(runs["pack"], runs["Pillow"], strict=True)]
        print(f"{name:<12}pack, times Pillow, per core: {statistics.median(ratios):.2f}")
        tiles.unlink()


def compare_memory(fields: list[np.ndarray], scratch: Path, images: tuple[int, ...]) -> None:
    """Peak memory of the pack stage over the number of images, eight tiles each."""
    print("\ntiles of 64 px, eight of an image")
    peaks = [run_pack(make_tiles(scratch / f"many{n}.zip", fields, 8 * n, 64, 1)).peak_mib for n in images]
    for n, peak in zip(images, peaks, strict=True):
        grown = (peak - peaks[0]) * 1024 / (8 * n - 8 * images[0]) if n > images[0] else 0.0
        print(f"  {n:>6} images: {peak:>6.0f} MiB at most; {grown:.1f} KiB for each further tile (its row, its entry)")


def compare_reading(fields: list[np.ndarray], scratch: Path, count: int, rounds: int) -> None:
    """Seconds to decode a tile set: one tile after another, and ahead on all cores."""
    with ImageArchive(make_tiles(scratch / "read.zip", fields, count, 512, 1)) as archive:
        one_by_one = lambda: [archive.read(file).size for file in archive.manifest["file"]]  # noqa: E731
        ahead = lambda: [pixels.size for pixels in archive.images()]  # noqa: E731
        pairs = [(seconds_of(one_by_one), seconds_of(ahead)) for _ in range(rounds)]
    ratio = statistics.median(slow / fast for slow, fast in pairs)
    print(f"\nreading {count} tiles of 512 px: ahead on all cores {ratio:.2f} times as fast as one after another")


def compare_folds(rounds: int) -> None:
    """Seconds to make five folds of 12 480 tiles, and how even they are."""
    names = [name for name, (count, _) in COHORT.items() for _ in range(count)]
    rows = [
        {"patient": str(i), "case": str(i), "identity": f"k-{i}", "diagnosis": name, "label": COHORT[name][1],
         "site": "Home", "source": f"{i}{image}.jpeg", "x": x, "y": 0, "sha256": ""}
        for i, name in enumerate(names) for image in range(10) for x in range(8)
    ]  # fmt: skip
    table = pd.DataFrame(rows)

    def ours() -> list[set[str]]:
        folds = draw_stratified_folds(read_patients(table), 5, 0.2, 0, True)
        return [{one.removeprefix("k-") for one in parts["test"]} for parts in folds.values()]

    def theirs() -> list[set[str]]:
        split = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(table, table["diagnosis"], table["patient"])
        return [set(table["patient"].iloc[test]) for _, test in split]

    pairs = [(seconds_of(ours), seconds_of(theirs)) for _ in range(rounds)]
    own, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"\nfive folds of {len(names)} patients, {len(table):,} tiles: {own:.3f} s with inner validation and checks, "
          f"scikit-learn {other:.3f} s, ratio {other / own:.2f}")  # fmt: skip
    even = pd.Series({name: count / 5 for name, (count, _) in COHORT.items()})
    for what, folds in (("ours", ours()), ("scikit-learn", theirs())):
        dealt = pd.DataFrame([pd.Series([names[int(one)] for one in fold]).value_counts() for fold in folds])
        off = (dealt.fillna(0) - even).abs().to_numpy()
        print(f"  {what}: patients of a diagnosis in a fold at most {off.max():.1f} from even, mean {off.mean():.2f}")


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


def main(fields: Path, *, tiles: int = 1000, rounds: int = 3, memory: tuple[int, ...] = (500, 5000)) -> None:
    """Prints the tables.

    Args:
        fields: Folder of JPEG files of at least 512 px a side.
        tiles: How many are packed.
        rounds: How often.
        memory: Numbers of images whose tiles are packed to show peak memory.
    """
    originals = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(fields.glob("*.jp*g"))[:20]]
    with tempfile.TemporaryDirectory() as scratch:
        compare_writing(originals, Path(scratch), tiles, rounds)
        compare_reading(originals, Path(scratch), tiles, rounds)
        compare_memory(originals, Path(scratch), memory)
    compare_folds(rounds)


if __name__ == "__main__":
    cyclopts.run(main)
