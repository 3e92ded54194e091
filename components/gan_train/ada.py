"""Adaptive discriminator augmentation: its probability p follows the discriminator's overfitting (ADA, §3.1)."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from components.core.errors import ConfigError

MODES = ("ada", "noaug", "fixed")
TARGET, SPEED_KIMG, INTERVAL = 0.6, 500.0, 4


class AdaController:
    """Moves p so that r_t = mean sign(D(real)) stays at a target.

    Every process has one, and calls `update` and `state_dict` when the others do.

    Attributes:
        p: Probability of augmentations, 0..1, exact in float32.
        r_t: Last measured value, -1..1; None before the first update. It is measured in the modes without control, too.
    """

    def __init__(
        self,
        *,
        mode: str = "ada",
        p: float = 0.0,
        target: float = TARGET,
        kimg: float = SPEED_KIMG,
        interval: int = INTERVAL,
        clamp: bool = True,
        reduce: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Starts without measurements.

        Args:
            mode: "ada"; "fixed" = p stays; "noaug" = a training without a pipe, where p is 0.
            p: Probability at the start, 0..1.
            target: Target of r_t, -1..1.
            kimg: Thousands of images in which p can go from 0 to 1.
            interval: Iterations between updates, at least 1.
            clamp: True = p stays at most 1. The original lets it grow, which only delays its way back.
            reduce: Function that sums a small tensor over the processes; None = one process.

        Raises:
            ConfigError: An argument is out of range.
        """
        if mode not in MODES:
            raise ConfigError(f"The augmentation mode {mode!r} is not one of {', '.join(MODES)}.")
        if not 0 <= p <= 1:
            raise ConfigError(f"The augmentation probability p is {p}: give a number from 0 to 1.")
        if mode == "noaug" and p:
            raise ConfigError(
                f"The augmentation probability p is {p} in mode 'noaug': use mode 'fixed' for a constant p."
            )
        if not -1 <= target <= 1:
            raise ConfigError(f"The target of ADA is {target}: a mean sign is between -1 and 1, commonly at {TARGET}.")
        if not (math.isfinite(kimg) and kimg > 0):
            raise ConfigError(f"The speed of ADA is {kimg} kimg: give a positive number, commonly {SPEED_KIMG:g}.")
        if interval < 1:
            raise ConfigError(f"The interval of ADA is {interval} iterations: give at least 1.")
        self.mode, self.target, self.kimg, self.interval, self.clamp = mode, target, kimg, interval, clamp
        self.p = torch.tensor(p, dtype=torch.float32).item()
        self.r_t: float | None = None
        self._reduce = reduce
        self._iterations = 0
        self._local: Tensor | None = None  # [2]: sum of signs and their count, in this process
        self._shared = (0.0, 0.0)  # the same over all processes, up to the last `state_dict`

    def report(self, logits: Tensor) -> None:
        """Adds D's outputs for real images, of any shape, without waiting for their device.

        An output of 0 or NaN has the sign 0.
        """
        signs = logits.detach().float().sign()
        sums = torch.stack([signs.sum(), torch.ones_like(signs).sum()])
        self._local = sums if self._local is None else self._local + sums

    def update(self, batch: int) -> float:
        """Ends an iteration of `batch` images over all processes; returns p, which moves at the end of an interval."""
        self._iterations += 1
        if self._iterations % self.interval == 0:
            self._gather()
            signs, count = self._shared
            self._shared = (0.0, 0.0)
            if count:
                self.r_t = signs / count
                if self.mode == "ada":
                    self._move((self.r_t > self.target) - (self.r_t < self.target), batch)
        return self.p

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, the same in every process; any number of processes can resume from them."""
        self._gather()
        signs, count = self._shared
        return {"p": self.p, "r_t": self.r_t, "iterations": self._iterations, "signs": signs, "count": count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resumes from a state."""
        self.p, self.r_t, self._iterations = state["p"], state["r_t"], state["iterations"]
        self._local, self._shared = None, (state["signs"], state["count"])

    def _gather(self) -> None:
        if self._local is None:  # in every process at once: all report in the same iterations
            return
        signs, count = (self._local if self._reduce is None else self._reduce(self._local)).tolist()
        self._local, self._shared = None, (self._shared[0] + signs, self._shared[1] + count)

    def _move(self, direction: int, batch: int) -> None:
        step = direction * (batch * self.interval) / (self.kimg * 1000)
        moved = torch.tensor(self.p, dtype=torch.float32) + step  # as the pipe's buffer would
        self.p = moved.clamp(0, 1 if self.clamp else None).item()
