"""Times training's phases and drawing against a clone of the original StyleGAN2-ADA, or against its description.

    python bench/networks.py --reference FOLDER                   64 px, batch 8, base 8192; FOLDER is the clone
    python bench/networks.py --reference FOLDER --resolution 512 --batch 8 --channel-base 32768 --precision float16 \\
        --ways ours --ways compiled                                                           on a GPU

Without a clone the peer is the networks' description, executed step by step in float32. An iteration is the four phases
with augmentation, path length every 4th and R1 every 16th time, without the optimizer. Times are the best, ratios
medians over interleaved rounds. On a machine with other work, `--clock cpu` and one thread (OMP_NUM_THREADS=1) count
the work of a core without its waiting.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal

import cyclopts
import torch
from network_case import D_MAIN, DRAW, G_MAIN, PATH_LENGTH, PEAK, R1, Case, peak_gib, seconds_of
from network_tasks import WAYS, networks_of, tasks_of
from torch.utils.flop_counter import FlopCounterMode

from components.core.runtime.device import pick_device
from components.core.runtime.progress import track

SHARES = {G_MAIN: 1, PATH_LENGTH: 1 / 4, D_MAIN: 1, R1: 1 / 16}  # of an iteration
ITERATION = "an iteration"
REFERENCE, DESCRIBED = "reference", "described"

Times = dict[str, dict[str, list[float]]]  # task, way: seconds in each round


@contextmanager
def reference_process(folder: Path, case: Case) -> Iterator[Callable[[str], float]]:
    """A function that asks the clone, in a separate process, for the seconds of a task or its peak memory."""
    words = [sys.executable, str(Path(__file__).with_name("reference_networks.py")), str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        requests, answers = process.stdin, process.stdout
        assert requests and answers
        print(json.dumps(asdict(case)), file=requests)

        def ask(what: str) -> float:
            print(what, file=requests)
            answer = answers.readline()
            if not answer:
                sys.exit(f"The clone in {folder} stopped; its message is above.")
            return float(answer)

        yield ask
        requests.close()


def measure(
    case: Case, names: Sequence[str], ways: Sequence[str], reference: Path | None, rounds: int
) -> tuple[Times, dict[str, float]]:
    """Seconds of tasks in each way, the peer's first, without the first round; and each process's peak memory, GiB."""
    G, D = networks_of(case)
    with reference_process(reference, case) if reference else nullcontext() as ask:
        runs: dict[str, dict[str, Callable[[], float]]] = {}
        if ask:
            runs[REFERENCE] = {name: partial(ask, name) for name in names}
        for way in ways:
            tasks = tasks_of(case, WAYS[way], G, D)
            runs[way] = {name: partial(seconds_of, tasks[name], case) for name in names}
        times: Times = {name: {way: [] for way in runs} for name in names}
        for index in track(range(rounds + 1), f"{case.resolution} px, {case.batch} at once", unit="rounds"):
            for name in names:
                for way, run in runs.items():
                    seconds = run[name]()
                    if index > 0:
                        times[name][way].append(seconds)
        peaks = {REFERENCE: ask(PEAK)} if ask else {}
        return times, peaks | {" and ".join(ways): peak_gib(case.device)}


def show(times: Times, number: Callable[[float], str]) -> None:
    """Prints a Markdown table: a row for each task, with the ratio of the peer's time to each way's."""
    peer, *others = next(iter(times.values()))
    headings = ["", peer, *(title for way in others for title in (way, "ratio"))]
    print("\n| " + " | ".join(headings) + " |\n|" + " --- |" * len(headings))
    for task, seconds in times.items():
        cells = [task, number(min(seconds[peer]))]
        for way in others:
            ratio = statistics.median(slow / fast for slow, fast in zip(seconds[peer], seconds[way], strict=True))
            cells += [number(min(seconds[way])), f"**{ratio:.2f}**"]
        print("| " + " | ".join(cells) + " |")


def gflop(case: Case) -> float:
    """GFLOP of one image."""
    G, _ = networks_of(case)
    z, c = torch.zeros(1, G.z_dim, device=case.device), torch.zeros(1, G.c_dim, device=case.device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        G.eval()(z, c)
    return counter.get_total_flops() / 1e9


def main(
    *,
    reference: Path | None = None,
    resolution: int = 64,
    batch: int = 8,
    channel_base: int = 8192,
    precision: Literal["float32", "float16", "bfloat16"] = "float32",
    p: float = 0.3,
    drawn: tuple[tuple[int, int], ...] = ((64, 8192), (256, 16384)),
    drawn_batch: int = 16,
    ways: tuple[Literal["ours", "default layout", "compiled"], ...] = ("ours",),
    rounds: int = 5,
    clock: Literal["wall", "cpu"] = "wall",
    device: str = "auto",
) -> None:
    """Prints the tables.

    Args:
        reference: Folder of a clone of the original; without it the peer is the description.
        resolution: Side of the images in training, pixels.
        batch: Number of images at once in training.
        channel_base: Width of the networks in training.
        precision: Precision of the four highest resolutions; a clone uses float16 for bfloat16.
        p: Probability of each augmentation in training.
        drawn: Sides of generated images, each with the width of its network.
        drawn_batch: Number of images generated at once; they are generated one by one, too.
        ways: Ways to execute thygan's networks.
        rounds: Number of measurements.
        clock: wall, or cpu = seconds of CPU time.
        device: cpu, cuda or auto.
    """
    target = pick_device(device)
    torch.manual_seed(0)
    executed = list(ways) if reference else [DESCRIBED, *ways]
    machine = torch.cuda.get_device_name() if target.type == "cuda" else f"{torch.get_num_threads()} CPU thread(s)"
    print(f"torch {torch.__version__}, {machine}, {precision}, {rounds} rounds, clock: {clock}")

    def case(side: int, size: int, width: int, strength: float) -> Case:
        return Case(side, size, width, precision, strength, target.type, clock)

    times, peaks = measure(case(resolution, batch, channel_base, p), list(SHARES), executed, reference, rounds)
    times[ITERATION] = {
        way: [sum(SHARES[name] * times[name][way][index] for name in SHARES) for index in range(rounds)]
        for way in times[R1]
    }
    show(times, lambda seconds: f"{seconds:.3f} s")
    kind = "GPU memory" if target.type == "cuda" else "memory of the process"
    print(f"\npeak of {kind}: " + ", ".join(f"{name} {peak:.2f} GiB" for name, peak in peaks.items()))

    times = {}
    for side, width in drawn:
        for size in (drawn_batch, 1):
            seconds, _ = measure(case(side, size, width, 0), [DRAW], executed, reference, rounds)
            times[f"{side} px, {size} at once"] = {
                way: [second / size for second in each] for way, each in seconds[DRAW].items()
            }
    show(times, lambda seconds: f"{1 / seconds:.1f} images/s")
    work = [f"{side} px {gflop(case(side, 1, width, 0)):.2f}" for side, width in drawn]
    print(f"\nGFLOP of an image: {', '.join(work)}")


if __name__ == "__main__":
    cyclopts.run(main)
