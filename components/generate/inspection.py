"""Inspection of every drawn image: the near-copy gate, and the statistics of its class."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from components.core.data.archive import ImageArchive
from components.core.data.file_names import CLASSES
from components.core.data.images import Pixels
from components.core.features.extract import features_of
from components.core.features.extractors import Extractor
from components.generate.fidelity import ClassStats, LinearProbe, stats_per_class
from components.generate.memorisation import (
    ORIENTATIONS,
    NearCopyGate,
    NearestTiles,
    build_training_index,
    fit_near_copy_gate,
)
from components.generate.multi_gpu import GeneratedBatch

_PAIRS_ON_PAGE = 8


@dataclass(frozen=True)
class ImagePair:
    """A generated image and its nearest training tile.

    Attributes:
        generated: Pixels of the generated image.
        real: Pixels of the training tile.
        feature_ratio: Feature distance, divided by the mean distance to the next tiles, 0 (a copy) to 1.
        image_distance: Distance as images, 0 (a copy) to 2.
    """

    generated: Pixels
    real: Pixels
    feature_ratio: float
    image_distance: float


@dataclass
class NearCopyLog:
    """Results of the near-copy gate for the page and the record.

    Attributes:
        near_copies: Class index -> number of dropped images.
        dropped: The first dropped images.
        closest: The accepted images that are nearest to a training tile, as images.
    """

    near_copies: dict[int, int] = field(default_factory=dict)
    dropped: list[ImagePair] = field(default_factory=list)
    closest: list[ImagePair] = field(default_factory=list)

    def add_dropped(self, index: int, pair: ImagePair | None) -> None:
        """Counts a near-copy of a class; a pair is shown on the page."""
        self.near_copies[index] = self.near_copies.get(index, 0) + 1
        if pair:
            self.dropped.append(pair)

    def add_accepted(self, pair: ImagePair) -> None:
        """Keeps a pair as long as it is among the closest."""
        self.closest = sorted([*self.closest, pair], key=lambda known: known.image_distance)[:_PAIRS_ON_PAGE]

    def shows_accepted(self, image_distance: float) -> bool:
        """Whether an accepted image at this distance is among the closest."""
        return len(self.closest) < _PAIRS_ON_PAGE or image_distance < self.closest[-1].image_distance

    @property
    def shows_dropped(self) -> bool:
        """Whether the page has room for another dropped pair."""
        return len(self.dropped) < _PAIRS_ON_PAGE


@dataclass(frozen=True)
class Inspection:
    """The near-copy gate and the linear probe, with their references.

    Attributes:
        gate: The near-copy gate; None = nothing is dropped.
        probe: The linear probe; None where there is one class only.
        train: Archive of the training tiles.
        train_stats: Class index -> statistics of the training tiles.
        held_out_stats: Class index -> statistics of the held-out tiles.
        log: Results of the gate.
    """

    gate: NearCopyGate | None
    probe: LinearProbe | None
    train: ImageArchive
    train_stats: dict[int, ClassStats]
    held_out_stats: dict[int, ClassStats]
    log: NearCopyLog

    def accept(self, batch: GeneratedBatch, index: int, stats: ClassStats) -> Iterator[tuple[Pixels, int]]:
        """The images of a batch that are not near-copies, each with its latent seed.

        Args:
            batch: Images of one class.
            index: Index of the class.
            stats: Statistics of the class, to which the accepted images are added.
        """
        accepted = np.ones(len(batch.seeds), dtype=bool)
        if self.gate:
            nearest = self.gate.index.search(batch.stack, batch.features)
            accepted = ~self.gate.is_copy(nearest)
            for row, is_accepted in enumerate(accepted):
                self._log_image(self.gate, nearest, batch, row, index, bool(is_accepted))
        stats.add(batch.features[accepted], self.probe, index)
        yield from ((batch.images[row], batch.seeds[row]) for row in np.flatnonzero(accepted))

    def _log_image(
        self,
        gate: NearCopyGate,
        nearest: NearestTiles,
        batch: GeneratedBatch,
        row: int,
        index: int,
        is_accepted: bool,
    ) -> None:
        distance, ratio = float(nearest.image_distance[row]), float(nearest.feature_ratio[row])
        pair = None
        if self.log.shows_accepted(distance) if is_accepted else self.log.shows_dropped:
            original = self.train.read(gate.original_file(nearest, row))
            pair = ImagePair(batch.images[row], original, ratio, distance)
        if not is_accepted:
            self.log.add_dropped(index, pair)
        elif pair:
            self.log.add_accepted(pair)


def make_inspection(
    network: Extractor, train: ImageArchive, held_out: ImageArchive, batch: int, *, with_gate: bool
) -> Inspection:
    """Fits the near-copy gate and the linear probe to the real tiles.

    Args:
        network: Feature network.
        train: The generator's training tiles.
        held_out: Tiles of patients that the generator has not seen.
        batch: Images per pass.
        with_gate: Whether near-copies are dropped.

    Raises:
        DataError: Too few tiles for the gate.
    """
    held_out_features = features_of(network, held_out.images(), batch, "features of held-out tiles", len(held_out))
    gate = None
    if with_gate:
        index = build_training_index(network, train, batch)
        gate = fit_near_copy_gate(network, index, held_out, held_out_features, batch)
        train_features = index.features[::ORIENTATIONS]  # the first orientation is the tile as it is
    else:
        train_features = features_of(network, train.images(), batch, "features of training tiles", len(train))
    train_labels, held_out_labels = (tiles.manifest["label"].to_numpy(np.int64) for tiles in (train, held_out))
    probe = LinearProbe(train_features, train_labels) if len(np.unique(train_labels)) > 1 else None
    classes = [entry["index"] for entry in train.attachment(CLASSES)]
    return Inspection(
        gate,
        probe,
        train,
        stats_per_class(probe, train_features, train_labels, classes),
        stats_per_class(probe, held_out_features, held_out_labels, classes),
        NearCopyLog(),
    )
