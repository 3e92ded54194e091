"""How strongly to augment: as much as keeps the discriminator from learning the real images by heart (ADA, §3.1)."""

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

    Every process makes one, and calls `update` and `state_dict` when the others do.

    Attributes:
        p: Probability of augmentations, exact in float32.
        r_t: Last measured; None before the first update. In the modes without control it is measured too.
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
        """Starts with nothing measured.

        Args:
            mode: "ada"; "fixed" keeps p; "noaug" is for a training without a pipe, where p is 0.
            p: To start from.
            target: Of r_t.
            kimg: Thousand images in which p can go from 0 to 1.
            interval: Iterations between updates.
            clamp: Keep p at 1 at most. The original lets it go on, which only delays its way back.
            reduce: Sum of a small tensor over the processes; None = there is one process.

        Raises:
            ConfigError: Out of range.
        """
        if mode not in MODES:
            raise ConfigError(f"The augmentation mode {mode!r} is none of {', '.join(MODES)}.")
        if not 0 <= p <= 1:
            raise ConfigError(f"The augmentation probability p is {p}: give a number from 0 to 1.")
        if mode == "noaug" and p:
            raise ConfigError(
                f"The augmentation probability p is {p} in mode 'noaug': give mode 'fixed' to keep p there."
            )
        if not -1 <= target <= 1:
            raise ConfigError(f"The target of ADA is {target}: a mean sign lies in -1 to 1, commonly at {TARGET}.")
        if not (math.isfinite(kimg) and kimg > 0):
            raise ConfigError(f"The speed of ADA is {kimg} kimg: give a positive number, commonly {SPEED_KIMG:g}.")
        if interval < 1:
            raise ConfigError(f"The interval of ADA is {interval} iterations: give at least 1.")
        self.mode, self.target, self.kimg, self.interval, self.clamp = mode, target, kimg, interval, clamp
        self.p = torch.tensor(p, dtype=torch.float32).item()
        self.r_t: float | None = None
        self._reduce = reduce
        self._iterations = 0
        self._own: Tensor | None = None  # [2]: sum of signs and their count, of this process
        self._shared = (0.0, 0.0)  # the same of all processes, up to the last state that was taken

    def report(self, logits: Tensor) -> None:
        """Takes D's outputs for real images, of any shape, without waiting for their device.

        An output of 0, or that is no number, has the sign 0.
        """
        signs = logits.detach().float().sign()
        seen = torch.stack([signs.sum(), torch.ones_like(signs).sum()])
        self._own = seen if self._own is None else self._own + seen

    def update(self, batch: int) -> float:
        """Ends an iteration of `batch` images over all processes; returns p, moved if it was the interval's last."""
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
        """Plain numbers, the same in every process; any number of processes can continue from them."""
        self._gather()
        signs, count = self._shared
        return {"p": self.p, "r_t": self.r_t, "iterations": self._iterations, "signs": signs, "count": count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where the state was taken."""
        self.p, self.r_t, self._iterations = state["p"], state["r_t"], state["iterations"]
        self._own, self._shared = None, (state["signs"], state["count"])

    def _gather(self) -> None:
        if self._own is None:  # in every process, as all report in the same iterations
            return
        signs, count = (self._own if self._reduce is None else self._reduce(self._own)).tolist()
        self._own, self._shared = None, (self._shared[0] + signs, self._shared[1] + count)

    def _move(self, direction: int, batch: int) -> None:
        step = direction * (batch * self.interval) / (self.kimg * 1000)
        moved = torch.tensor(self.p, dtype=torch.float32) + step  # as the pipe's buffer would
        self.p = moved.clamp(0, 1 if self.clamp else None).item()
