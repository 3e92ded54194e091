"""The training, from top to bottom: resume, then iterations with their ticks, snapshots and checkpoints, to the end."""

import math
import resource
import time
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor

from components.core.errors import TrainingError
from components.core.records.gan_train import TickRow
from components.core.runtime.progress import log
from components.gan_train.checkpoint import CheckpointScheduler
from components.gan_train.compile_losses import compile_losses
from components.gan_train.dataset import InfiniteSampler
from components.gan_train.distributed import ProcessGroup
from components.gan_train.metrics import Monitor
from components.gan_train.outputs import Outputs
from components.gan_train.random_inputs import MicroBatch
from components.gan_train.setup import TrainingSetup
from components.gan_train.trainer import PHASES, GanTrainer

SCALARS = ("loss_g", "loss_d", "r1_penalty", "path_length", "score_real", "score_fake", "sign_real")
MAX_NONFINITE = 0.2  # share of a phase's steps in a tick that may have non-finite gradients
_GIB = 2**30


def train(
    setup: TrainingSetup,
    outputs: Outputs | None = None,
    *,
    name: str = "GAN",
    checkpoint_minutes: float = 10.0,
    use_compile: bool = False,
) -> str:
    """Trains to the end, in every process of the training.

    Args:
        setup: The training, new or with the state from which it resumes.
        outputs: Snapshots folder, in rank 0; None elsewhere.
        name: Name of the training, for messages.
        checkpoint_minutes: Time between checkpoints.
        use_compile: True = use torch.compile if its gradients are right.

    Returns:
        Reason for an early end, a sentence; '' = trained to the end.

    Raises:
        TrainingError: The training diverged, or SIGTERM stopped it.
        StoreError: A checkpoint cannot be written, or another run has acquired the lease.
    """
    trainer, tiles, config = setup.trainer, setup.tiles, setup.trainer.config
    group, store = trainer.group, setup.store
    sampler = InfiniteSampler(tiles.labels, tiles.c_dim, config.symmetry, config.balanced, config.seed)
    stats = TickStats(trainer)

    # Resume.
    if setup.saved:
        trainer.load_state_dict(setup.saved["training"])
        stats.load_state_dict(setup.saved["walk"])
    if outputs and setup.saved:
        log(f"The training resumes at {trainer.images_seen / 1000:g} kimg.")
        outputs.load_state_dict(setup.saved["outputs"])
    elif outputs:
        outputs.save_initial()
    if use_compile:
        part = MicroBatch(0, config.batch // config.batch_gpu)
        trainer.losses = compile_losses(trainer, trainer.draw(tiles, sampler), part)

    def state() -> dict[str, Any]:
        networks = {"settings": asdict(config), "training": trainer.state_dict(), "walk": stats.state_dict()}
        return {**networks, "outputs": outputs.state_dict()} if outputs else networks

    def save_tick(row: TickRow | None, is_snapshot: bool = False) -> str:
        """In rank 0: writes the tick; returns the reason to stop."""
        if outputs and row:
            outputs.save_tick(row, is_snapshot)
        if store:
            store.check()
        return outputs.stop_reason() if outputs else ""

    scheduler = CheckpointScheduler(group, store, checkpoint_minutes, state, trainer.images_seen)
    monitor = Monitor(name, trainer, store) if group.is_rank0 else None
    end = math.ceil(config.kimg * 1000 / config.batch) * config.batch
    reason: str = group.run_on_rank0(partial(save_tick, None))

    with scheduler.handle_sigterm() if setup.has_checkpoints else nullcontext():
        stats.start_clock()
        while trainer.images_seen < end and not reason:
            # Iteration.
            before = trainer.images_seen
            stats.add(trainer.step(trainer.draw(tiles, sampler)))
            now = trainer.images_seen

            # Tick and snapshot.
            row = None
            is_snapshot = now == end or _crosses(before, now, config.snapshot_kimg)
            if is_snapshot or _crosses(before, now, config.tick_kimg):
                row = stats.finish_tick()
                reason = group.run_on_rank0(partial(save_tick, row, is_snapshot))
                stats.start_clock()  # snapshots and grids are not part of the pace
            if monitor:
                monitor.show(now / 1000, outputs.rows[-1] if outputs and row else row)

            # Checkpoint.
            if setup.has_checkpoints and not reason:
                scheduler.after_iteration(now)

        # End.
        if setup.has_checkpoints:
            scheduler.save(trainer.images_seen)
    if monitor:
        monitor.close(reason)
    return reason


class TickStats:
    """Statistics of the tick in progress: means of the iterations' scalars, and the pace."""

    def __init__(self, trainer: GanTrainer) -> None:
        self._trainer = trainer
        self._collector = StatsCollector(trainer.group)
        self._start_images, self._earlier_s, self._started_s = trainer.images_seen, 0.0, time.monotonic()

    def start_clock(self) -> None:
        """Counts time from here on."""
        self._started_s = time.monotonic()

    def add(self, scalars: dict[str, Tensor]) -> None:
        """Adds the scalars of one iteration of this process."""
        self._collector.add(scalars)

    def finish_tick(self) -> TickRow:
        """The row of this tick; the next one starts. Every process calls it when the others do.

        Raises:
            TrainingError: A loss is not finite, or too many gradients are not.
        """
        trainer, counts = self._trainer, self._collector.counts()
        means = self._collector.take_means()
        kimg = trainer.images_seen / 1000
        nonfinite = {phase: means.get(f"lost_{phase}", 0.0) for phase in PHASES}
        values: dict[str, Any] = {name: means.get(name) for name in SCALARS}
        _check_finite(values, nonfinite, kimg)
        values |= {f"lost_{phase}": round(share * counts.get(f"lost_{phase}", 0)) for phase, share in nonfinite.items()}
        values |= {f"norm_{phase}": means.get(f"norm_{phase}") for phase in PHASES}
        row = TickRow(
            kimg=kimg,
            augment_p=trainer.ada.p,
            lost_steps=max(nonfinite.values()),
            sec_per_kimg=self._seconds() / (trainer.images_seen - self._start_images) * 1000,
            memory_gb=peak_memory_gb(trainer.device),
            **values,
        )
        self._start_images, self._earlier_s = trainer.images_seen, 0.0
        return row

    def state_dict(self) -> dict[str, Any]:
        """Position within the tick. Every process calls it when the others do."""
        return {"meter": self._collector.state_dict(), "since": self._start_images, "seconds": self._seconds()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resumes within a tick."""
        self._collector.load_state_dict(state["meter"], self._trainer.device)
        self._start_images, self._earlier_s = state["since"], state["seconds"]

    def _seconds(self) -> float:
        return self._earlier_s + time.monotonic() - self._started_s


class StatsCollector:
    """Means over iterations and processes. Sums stay on the device until they are needed."""

    def __init__(self, group: ProcessGroup) -> None:
        self._group = group
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, scalars: dict[str, Tensor]) -> None:
        """Adds the scalars of one iteration of this process."""
        for name, value in scalars.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach().double()
            self._counts[name] = self._counts.get(name, 0) + 1

    def counts(self) -> dict[str, int]:
        """Number of values of each scalar since `take_means`."""
        return dict(self._counts)

    def take_means(self) -> dict[str, float]:
        """Means since the last call. Every process calls it when the others do."""
        names = sorted(self._sums)
        if not names:
            return {}
        totals = self._group.sum(torch.stack([self._sums[name] for name in names])).tolist()
        means = {
            name: total / (self._counts[name] * self._group.size) for name, total in zip(names, totals, strict=True)
        }
        self._sums, self._counts = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """The sums of every process; one total of them would not resume bit-equal."""
        names = sorted(self._sums)
        sums = torch.stack([self._sums[name] for name in names]) if names else torch.zeros(0, dtype=torch.float64)
        return {"counts": {name: self._counts[name] for name in names}, "sums": self._group.gather(sums).cpu()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Resumes from a state, which may be of another number of processes."""
        sums = state["sums"].to(device)  # [processes, names]
        local = sums[self._group.rank] if len(sums) == self._group.size else sums.mean(dim=0)
        self._counts = dict(state["counts"])
        self._sums = dict(zip(self._counts, local, strict=True))


def peak_memory_gb(device: torch.device) -> float:
    """Peak memory of this process so far, GiB: of the GPU, or of the machine's where it computes on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _GIB


def _crosses(before: int, now: int, interval_kimg: float) -> bool:
    interval = interval_kimg * 1000
    return now // interval > before // interval


def _check_finite(scalars: dict[str, float | None], nonfinite: dict[str, float], kimg: float) -> None:
    names = [name for name, value in scalars.items() if value is not None and not math.isfinite(value)]
    advice = "Train with a lower learning_rate, or a gamma three to ten times larger."
    if names:
        raise TrainingError(f"The training diverged before {kimg:g} kimg: {', '.join(names)} is not finite. {advice}")
    if phases := [f"{phase} {share:.0%}" for phase, share in nonfinite.items() if share > MAX_NONFINITE]:
        raise TrainingError(
            f"The training diverged before {kimg:g} kimg: gradients were not finite in many steps "
            f"({', '.join(phases)}). {advice}"
        )
