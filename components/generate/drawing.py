"""Draws the images of one class: candidate by candidate, near-copies replaced by the next seeds."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import torch

from components.core.archive import ImageArchive, Pixels
from components.core.errors import DataError
from components.core.features import to_batches
from components.core.stylegan2 import Generator
from components.core.stylegan2.sampling import generate_images
from components.generate.arms import latent_seed
from components.generate.memorisation import Gate
from components.generate.page import Pair

_SHOWN = 8


@dataclass(frozen=True)
class Source:
    """The generator and how it is used.

    Attributes:
        G: The generator.
        seed: The stage's seed, from which every latent's seed follows.
        psi: Truncation; 1 = none.
        batch: Images at once.
        device: Where to draw.
    """

    G: Generator
    seed: int
    psi: float
    batch: int
    device: torch.device


@dataclass
class Seen:
    """What the gate saw, kept for the page and the record.

    Attributes:
        near_copies: How many were dropped.
        dropped: The first of them.
        closest: The kept images that are nearest to a training tile.
    """

    near_copies: int = 0
    dropped: list[Pair] = field(default_factory=list)
    closest: list[Pair] = field(default_factory=list)

    def drop(self, pair: Pair) -> None:
        """Counts a near-copy, and keeps it to be shown."""
        self.near_copies += 1
        if len(self.dropped) < _SHOWN:
            self.dropped.append(pair)

    def keep(self, pair: Pair) -> None:
        """Keeps a pair while it is among the closest."""
        self.closest = sorted([*self.closest, pair], key=lambda one: one.ratio)[:_SHOWN]

    def is_close(self, ratio: float) -> bool:
        """Whether a pair of this ratio would be kept."""
        return len(self.closest) < _SHOWN or ratio < self.closest[-1].ratio


def draw_class(
    source: Source, index: int, wanted: int, gate: Gate | None, train: ImageArchive, seen: Seen
) -> Iterator[tuple[Pixels, int]]:
    """Yields `wanted` images of a class and the seed of each, in the order of their seeds.

    Args:
        source: The generator.
        index: The class.
        wanted: How many.
        gate: Drops near-copies; None = nothing is dropped.
        train: Where the gate's tiles lie.
        seen: Takes what the gate sees.

    Raises:
        DataError: Two of three candidates are near-copies, so drawing on is pointless.
    """
    kept = candidates = 0
    while kept < wanted:
        if candidates > 3 * wanted:
            raise DataError(
                f"{candidates - kept} of {candidates} images of class {index} are near-copies of training tiles: the "
                "generator has memorised them; select an earlier snapshot, train on more tiles, or go on with "
                "--no-near-copy-gate."
            )
        seeds = [latent_seed(source.seed, index, candidates + place) for place in range(wanted - kept)]
        candidates += len(seeds)
        for image, seed in _passing(source, index, seeds, gate, train, seen):
            kept += 1
            yield image, seed


def _passing(
    source: Source, index: int, seeds: list[int], gate: Gate | None, train: ImageArchive, seen: Seen
) -> Iterator[tuple[Pixels, int]]:
    images = generate_images(
        source.G, seeds, [index] * len(seeds), psi=source.psi, batch=source.batch, device=source.device
    )
    drawn = zip(images, seeds, strict=True)
    if gate is None:
        yield from drawn
        return
    while part := list(islice(drawn, source.batch)):
        stack = next(to_batches((image for image, _ in part), source.batch))
        nearest = gate.nearest(gate.extractor(stack).cpu().numpy())
        for (image, seed), place, ratio in zip(part, nearest.place, nearest.ratio.tolist(), strict=True):
            if ratio < gate.threshold:
                seen.drop(Pair(image, train.read(gate.files[place]), ratio))
                continue
            if seen.is_close(ratio):
                seen.keep(Pair(image, train.read(gate.files[place]), ratio))
            yield image, seed
