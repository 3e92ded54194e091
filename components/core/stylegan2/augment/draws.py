"""The random numbers behind an augmentation's parameters.

A transform reads one raw number per sample, U[0, 1) or N(0, 1). Where its gate is shut, the number is replaced by the
one that makes the transform the identity; so it is for a transform that is off. One code path thus serves random,
debugging and recorded parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from components.core.errors import ConfigError


class Source(Protocol):
    """Raw numbers by name, float64 on the CPU."""

    def uniform(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """U[0, 1)."""

    def normal(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """N(0, 1)."""

    def gate(self, name: str, n: int, probability: float) -> Tensor:
        """True where the transform is applied, [n]."""

    def seed(self) -> int:
        """Seed of a field of noise, which is drawn on the images' device."""


@dataclass(frozen=True)
class Random:
    """Draws from a CPU generator; None = PyTorch's own. Their number does not depend on the probabilities."""

    rng: torch.Generator | None

    def uniform(self, name: str, shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=self.rng, dtype=torch.float64)

    def normal(self, name: str, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.rng, dtype=torch.float64)

    def gate(self, name: str, n: int, probability: float) -> Tensor:
        return torch.rand(n, generator=self.rng, dtype=torch.float64) < probability

    def seed(self) -> int:
        return int(torch.randint(2**62, (), generator=self.rng))


@dataclass(frozen=True)
class Percentile:
    """The same number for all samples, with all gates open, to show the effect of a transform.

    Normal draws are erfinv(2q - 1) without the √2 of a true percentile.
    """

    q: float

    def __post_init__(self) -> None:
        if not 0 < self.q < 1:
            raise ConfigError(f"debug_percentile is {self.q}: give a number between 0 and 1.")

    def uniform(self, name: str, shape: tuple[int, ...]) -> Tensor:
        return torch.full(shape, 0.5 if name == "postrotation" else self.q, dtype=torch.float64)

    def normal(self, name: str, shape: tuple[int, ...]) -> Tensor:
        at = self.q if name == "noise" else 2 * self.q - 1  # the deviation of the noise has no sign
        return torch.erfinv(torch.full(shape, at, dtype=torch.float64))

    def gate(self, name: str, n: int, probability: float) -> Tensor:
        return torch.ones(n, dtype=torch.bool)

    def seed(self) -> int:
        return 0


@dataclass(frozen=True)
class Draws:
    """Gated draws for n samples.

    Attributes:
        source: Source of the raw numbers.
        n: Number of samples.
        probabilities: Probability of every transform that is on, by name.
    """

    source: Source
    n: int
    probabilities: Mapping[str, float]

    def uniform(self, name: str, identity: float, count: int = 1) -> Tensor:
        """U[0, 1), or `identity`: [n], or [n, count] under one gate."""
        return self._draw_gate(self.source.uniform, name, identity, count)

    def normal(self, name: str, count: int = 1) -> Tensor:
        """N(0, 1), or 0: [n], or [n, count] under one gate."""
        return self._draw_gate(self.source.normal, name, 0.0, count)

    def _draw_gate(
        self, draw: Callable[[str, tuple[int, ...]], Tensor], name: str, identity: float, count: int
    ) -> Tensor:
        if name not in self.probabilities:
            values = torch.full((self.n, count), identity, dtype=torch.float64)
        else:
            values = draw(name, (self.n, count))
            gate = self.source.gate(name, self.n, self.probabilities[name])
            values = torch.where(gate[:, None], values, identity)
        return values[:, 0] if count == 1 else values
