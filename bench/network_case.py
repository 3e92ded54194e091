"""What `networks.py` and the process of the clone have in common: a case, its clock and its memory."""

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

LATENT_DIM, CLASSES, MAPPING_LAYERS = 512, 2, 2
G_MAIN, PATH_LENGTH, D_MAIN, R1, DRAW = "G main", "path length", "D main", "R1", "draw"
PEAK = "peak"  # asked of the clone in the place of a task

Task = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """What is timed.

    Attributes:
        resolution: Side of the images in pixels.
        batch: Images at once.
        channel_base: Width of the networks.
        precision: Of the four highest resolutions.
        p: Probability of augmentation.
        device: Where it runs.
        clock: wall, or cpu = seconds of CPU time, over all threads.
    """

    resolution: int
    batch: int
    channel_base: int
    precision: str
    p: float
    device: str
    clock: str


def seconds_of(task: Task, case: Case) -> float:
    """How long a task takes."""
    now = time.process_time if case.clock == "cpu" else time.perf_counter
    started = now()
    task()
    if case.device != "cpu":
        torch.cuda.synchronize()
    return now() - started


def tasks_on(
    G: nn.Module, D: nn.Module, runs: Mapping[str, Task], before: Callable[[], None] = lambda: None
) -> dict[str, Task]:
    """What is timed by name: each run with the network that it trains open to gradients, the other closed."""
    trained = {G_MAIN: G, PATH_LENGTH: G, D_MAIN: D, R1: D}

    def task(name: str, run: Task) -> Task:
        def whole() -> None:
            before()
            for network in (G, D):
                network.train(name in trained).requires_grad_(network is trained.get(name))
            run()
            for network in (G, D):
                network.zero_grad()

        return whole

    return {name: task(name, run) for name, run in runs.items()}


def peak_gib(device: str) -> float:
    """The most that this process has held: of the GPU's memory, or on a CPU in all."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
