"""What iterations measure, averaged over a tick and over all processes."""

from typing import Any

import torch
from torch import Tensor

from components.gan_train.distributed import ProcessGroup


class StatsCollector:
    """Running means. Sums stay on the device until they are asked for."""

    def __init__(self, team: ProcessGroup) -> None:
        self._team = team
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        """Takes one iteration's scalars, of this process."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach().double()
            self._counts[name] = self._counts.get(name, 0) + 1

    def counts(self) -> dict[str, int]:
        """How often each was measured since `take`."""
        return dict(self._counts)

    def take(self) -> dict[str, float]:
        """Means since the last call. Every process calls it when the others do."""
        names = sorted(self._sums)
        if not names:
            return {}
        totals = self._team.sum(torch.stack([self._sums[name] for name in names])).tolist()
        means = {
            name: total / (self._counts[name] * self._team.size) for name, total in zip(names, totals, strict=True)
        }
        self._sums, self._counts = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """Every process's sums: added up here they would not be continued to the last bit."""
        names = sorted(self._sums)
        sums = torch.stack([self._sums[name] for name in names]) if names else torch.zeros(0, dtype=torch.float64)
        return {"counts": {name: self._counts[name] for name in names}, "sums": self._team.gather(sums).cpu()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Goes on from a state, if need be of another number of processes."""
        sums = state["sums"].to(device)  # [processes, names]
        own = sums[self._team.rank] if len(sums) == self._team.size else sums.mean(dim=0)
        self._counts = dict(state["counts"])
        self._sums = dict(zip(self._counts, own, strict=True))
