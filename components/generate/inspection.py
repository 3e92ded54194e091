"""What every candidate goes through: the gate that drops near-copies, and the reader that tells its class."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from components.core.data.archive import CLASSES, ImageArchive, Pixels
from components.core.features.extract import features_of
from components.core.features.extractors import Extractor
from components.generate.fidelity import Reader, Tally, tallies
from components.generate.memorisation import ORIENTATIONS, Gate, Nearest, look_at, make_gate
from components.generate.multi_gpu import Batch
from components.generate.page import Pair

_SHOWN = 8


@dataclass
class Seen:
    """What was seen of the candidates, kept for the page and the record.

    Attributes:
        near_copies: Class -> how many were dropped.
        dropped: The first of them.
        closest: The kept images that are nearest to a training tile, as pictures.
    """

    near_copies: dict[int, int] = field(default_factory=dict)
    dropped: list[Pair] = field(default_factory=list)
    closest: list[Pair] = field(default_factory=list)

    def drop(self, index: int, pair: Pair | None) -> None:
        """Counts a near-copy; the first ones come with their original."""
        self.near_copies[index] = self.near_copies.get(index, 0) + 1
        if pair:
            self.dropped.append(pair)

    def keep(self, pair: Pair) -> None:
        """Keeps a pair while it is among the closest."""
        self.closest = sorted([*self.closest, pair], key=lambda one: one.apart)[:_SHOWN]

    def shows(self, apart: float) -> bool:
        """Whether a kept pair so far apart would be shown."""
        return len(self.closest) < _SHOWN or apart < self.closest[-1].apart

    @property
    def shows_more_dropped(self) -> bool:
        """Whether another dropped pair would be shown."""
        return len(self.dropped) < _SHOWN


@dataclass(frozen=True)
class Inspection:
    """What every candidate goes through.

    Attributes:
        gate: Drops near-copies; None = nothing is dropped.
        reader: Tells classes; None where there is one class only.
        train: Where the gate's tiles lie.
        train_tallies: Class -> what the reader sees in the training tiles.
        held_out_tallies: The same of the held-out tiles.
        seen: Takes what the gate sees.
    """

    gate: Gate | None
    reader: Reader | None
    train: ImageArchive
    train_tallies: dict[int, Tally]
    held_out_tallies: dict[int, Tally]
    seen: Seen

    def passing(self, batch: Batch, index: int, tally: Tally) -> Iterator[tuple[Pixels, int]]:
        """The images that are no near-copies, and their seeds."""
        kept = np.ones(len(batch.seeds), dtype=bool)
        if self.gate:
            nearest = self.gate.training.nearest(batch.stack, batch.features)
            kept = ~self.gate.is_copy(nearest)
            for row, passes in enumerate(kept):
                self._note(self.gate, nearest, batch, row, index, bool(passes))
        features = batch.features[kept]
        tally.add(features, self.reader, index)
        yield from ((batch.images[row], batch.seeds[row]) for row in np.flatnonzero(kept))

    def _note(self, gate: Gate, nearest: Nearest, batch: Batch, row: int, index: int, passes: bool) -> None:
        apart, ratio = float(nearest.apart[row]), float(nearest.ratio[row])
        shown = self.seen.shows(apart) if passes else self.seen.shows_more_dropped
        pair = None
        if shown:
            pair = Pair(batch.images[row], self.train.read(gate.original(nearest, row)), ratio, apart)
        if not passes:
            self.seen.drop(index, pair)
        elif pair:
            self.seen.keep(pair)


def make_inspection(
    network: Extractor, train: ImageArchive, held_out: ImageArchive, batch: int, *, gated: bool
) -> Inspection:
    """Looks at the real tiles, and learns from them what a copy and what a class is.

    Args:
        network: Whose features everything is seen in.
        train: The generator's training tiles.
        held_out: Tiles of patients that it has not seen.
        batch: Images per pass.
        gated: Whether near-copies shall be dropped.
    """
    unseen = features_of(network, held_out.images(), batch, "features of held-out tiles", len(held_out))
    gate = None
    if gated:
        gate = make_gate(network, look_at(network, train, batch), held_out, unseen, batch)
        seen = gate.training.features[::ORIENTATIONS]  # the first one of a tile is the tile
    else:
        seen = features_of(network, train.images(), batch, "features of training tiles", len(train))
    labels, others = (archive.manifest["label"].to_numpy(np.int64) for archive in (train, held_out))
    reader = Reader(seen, labels) if len(np.unique(labels)) > 1 else None
    classes = [one["index"] for one in train.attachment(CLASSES)]
    return Inspection(
        gate, reader, train, tallies(reader, seen, labels, classes), tallies(reader, unseen, others, classes), Seen()
    )
