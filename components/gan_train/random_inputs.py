"""Everything random in an iteration, as a function of the seed and the number of images seen before it.

Random numbers belong to the samples of the whole batch. A process, or a micro-batch of it, takes its share of them, so
that neither the number of processes nor their memory changes the numbers.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from components.core.stylegan2 import AugmentPipe, Generator
from components.core.stylegan2.augment.draws import Random
from components.gan_train.dataset import Indices, InfiniteSampler, Tiles
from components.gan_train.losses import PATH_LENGTH_SHRINK, Augmented, Latents, View, no_augmentation

G_CALLS = ("g_main", "g_reg", "d_main")  # phases that call the generator
D_CALLS = ("g_main", "fake", "real", "r1")  # calls of the discriminator


@dataclass(frozen=True)
class MicroBatch:
    """One of `count` equal parts of a batch: every `count`-th sample from `index` on.

    Groups of the mini-batch deviation are strided likewise, so they equal those of the undivided batch wherever a part
    is divisible by the size of a group.

    Attributes:
        index: Number of this part, from 0.
        count: Number of parts.
    """

    index: int = 0
    count: int = 1

    @property
    def samples(self) -> slice:
        """The samples of this part, within the batch."""
        return slice(self.index, None, self.count)


class RandomInputs(Protocol):
    """The random inputs of one iteration, by phase and part of the batch."""

    def latents(self, phase: str, part: MicroBatch) -> Latents:
        """Latents of a phase; g_reg uses half the batch."""

    def real(self, part: MicroBatch) -> tuple[Tensor, Tensor]:
        """Images [n, 3, R, R] and label vectors [n, c_dim], the same in all phases of D."""

    def pl_noise(self, part: MicroBatch) -> Tensor:
        """Standard normal directions [n, 3, R, R] of g_reg."""

    def view(self, call: str, part: MicroBatch) -> View:
        """Augmentation of the images in one call of the discriminator."""


class IterationInputs:
    """The random inputs of one iteration, drawn from the seed and the number of images seen."""

    def __init__(
        self,
        seed: int,
        images_seen: int,
        batch: int,
        *,
        tiles: Tiles,
        order: InfiniteSampler,
        G: Generator,
        pipe: AugmentPipe | None,
        style_mixing: float,
        device: torch.device,
    ) -> None:
        self._tiles, self._G, self._pipe, self._device, self._batch = tiles, G, pipe, device, batch
        rng = np.random.default_rng([seed, images_seen])
        self._latents = {}
        for phase in G_CALLS:
            n = batch // PATH_LENGTH_SHRINK if phase == "g_reg" else batch
            z = torch.from_numpy(rng.standard_normal((2, n, G.z_dim), dtype=np.float32))
            c = tiles.one_hot(order.random_labels(rng, n))
            is_mixed, cutoff = rng.random() < style_mixing, int(rng.integers(1, G.num_ws))
            self._latents[phase] = Latents(z[0], c, z[1] if is_mixed else None, cutoff)
        self._noise_seeds = rng.integers(2**63, size=(len(G_CALLS), batch))
        self._pl_seeds = rng.integers(2**63, size=batch // PATH_LENGTH_SHRINK)
        self._view_seeds = rng.integers(2**63, size=len(D_CALLS))
        self._reals = order.at(range(images_seen, images_seen + batch))

    def latents(self, phase: str, part: MicroBatch) -> Latents:
        """Latents of the part with their noise, on the device."""
        batch = self._latents[phase]
        z, c, z_mix = (
            None if value is None else value[part.samples].to(self._device, non_blocking=True)
            for value in (batch.z, batch.c, batch.z_mix)
        )
        assert z is not None and c is not None
        seeds = self._noise_seeds[G_CALLS.index(phase), : len(batch.z)][part.samples]
        return Latents(z, c, z_mix, batch.cutoff, self._noise(seeds))

    def real(self, part: MicroBatch) -> tuple[Tensor, Tensor]:
        """Tiles of the part, on the device."""
        tile, orientation = self._reals
        return self._tiles.reals(tile[part.samples], orientation[part.samples], self._device)

    def pl_noise(self, part: MicroBatch) -> Tensor:
        """Directions of the part."""
        side = self._tiles.resolution
        flat = self._normal(self._pl_seeds[part.samples], self._G.img_channels * side * side)
        return flat.view(-1, self._G.img_channels, side, side)

    def view(self, call: str, part: MicroBatch) -> View:
        """Augmentation of the part."""
        if self._pipe is None:
            return no_augmentation
        side = self._tiles.resolution
        n = len(range(self._batch)[part.samples])
        like = torch.empty((), device=self._device).expand(n, self._G.img_channels, side, side)
        source = _PartRandom(Random(_cpu_rng(self._view_seeds[D_CALLS.index(call)])), self._batch, part)
        return Augmented(self._pipe, self._pipe.draw(like, source))

    def _noise(self, seeds: Indices) -> dict[str, Tensor]:
        """Noise inputs by name, [n, 1, r, r]; every sample has its own seed."""
        shapes = {
            name: value.shape for name, value in self._G.synthesis.named_buffers() if name.endswith("noise_const")
        }
        rows = self._normal(seeds, sum(shape.numel() for shape in shapes.values()))
        fields = rows.split([shape.numel() for shape in shapes.values()], dim=1)
        return {name: field.view(-1, 1, *shapes[name]) for name, field in zip(shapes, fields, strict=True)}

    def _normal(self, seeds: Indices, count: int) -> Tensor:
        """Standard normal [n, count], each row from its own seed."""
        rows = torch.empty(len(seeds), count, device=self._device)
        rng = torch.Generator(self._device)
        for row, seed in zip(rows, seeds, strict=True):
            row.normal_(generator=rng.manual_seed(int(seed)))
        return rows


@dataclass(frozen=True)
class _PartRandom:
    """Random numbers of a part: its share of the batch's. Only a field of noise is drawn for the part alone."""

    random: Random
    batch: int
    part: MicroBatch

    def uniform(self, name: str, shape: tuple[int, ...]) -> Tensor:
        return self.random.uniform(name, (self.batch, *shape[1:]))[self.part.samples]

    def normal(self, name: str, shape: tuple[int, ...]) -> Tensor:
        return self.random.normal(name, (self.batch, *shape[1:]))[self.part.samples]

    def gate(self, name: str, n: int, probability: float) -> Tensor:
        return self.random.gate(name, self.batch, probability)[self.part.samples]

    def seed(self) -> int:
        return self.random.seed() + self.part.index


def _cpu_rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(seed))
