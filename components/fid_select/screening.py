"""Coarse to fine: a few images of every snapshot, all of the front-runners."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.core.data.archive import ImageArchive
from components.core.errors import DataError
from components.core.features.cache import FeatureCache
from components.core.features.extractors import Extractor
from components.core.runtime.progress import log
from components.core.telemetry.live import stage_metrics
from components.fid_select.dials import show
from components.fid_select.measure import LEAST, Sample, measure
from components.fid_select.selection_rule import Choice, Row
from components.fid_select.snapshot_samples import Draw, Snapshot


@dataclass(frozen=True)
class Ruler:
    """What snapshots are measured with.

    Attributes:
        train: The training tiles.
        held_out: Tiles of patients that no snapshot has seen.
        classes: `index`, `name` of each class.
        side_px: Side of a tile.
        network: Whose features are compared.
        cache: Keeps them.
        batch: Images per pass.
        seed: Of the subsets of the kernel distance.
    """

    train: Sample
    held_out: Sample
    classes: Sequence[dict[str, Any]]
    side_px: int
    network: Extractor
    cache: FeatureCache
    batch: int
    seed: int

    @staticmethod
    def on(
        real: ImageArchive,
        unseen: ImageArchive,
        classes: Sequence[dict[str, Any]],
        network: Extractor,
        cache: FeatureCache,
        batch: int,
        seed: int,
    ) -> "Ruler":
        """The ruler on these tiles; raises DataError where the training tiles are fewer than `LEAST`."""
        if len(real) < LEAST:
            raise DataError(f"{real.path} has {len(real)} tiles, too few to compare with: give the training data.")
        train, held_out = (
            Sample(cache.of_archive(tiles, batch, f"features of {what} tiles"), tiles.manifest["label"].to_numpy(int))
            for tiles, what in ((real, "training"), (unseen, "held-out"))
        )
        return Ruler(train, held_out, classes, real.resolution, network, cache, batch, seed)

    def draw(self, snapshot: Snapshot, draw: Draw) -> Sample:
        """A snapshot's images as this ruler sees them."""
        return snapshot.sample(draw, self.side_px, self.network, self.cache, self.batch)

    def row(self, snapshot: Snapshot, fakes: Sample, *, full: bool) -> Row:
        """The snapshot's distances."""
        found = measure(fakes, self.train, self.held_out, self.classes, self.seed, full=full)
        return {"kimg": snapshot.kimg, **found}


@dataclass(frozen=True)
class Screening:
    """What came out.

    Attributes:
        rows: One of each snapshot, in the order of training; `full` says whether it was measured in full.
        drawn: Images that were drawn.
        spared: Images that the full measure of every snapshot would have drawn beyond these.
        cost: Both, as a sentence.
    """

    rows: list[Row]
    drawn: int
    spared: int

    @property
    def cost(self) -> str:
        """How much was drawn, and how much the first round spared."""
        full = [row for row in self.rows if row["full"]]
        if len(full) == len(self.rows):
            return f"Every snapshot was measured on {full[0]['images']} images."
        screened = next(row["images"] for row in self.rows if not row["full"])
        return (
            f"A first round by KID on {screened} images of each of {len(self.rows)} snapshots left {len(full)}, which "
            f"were measured on {full[0]['images']}: {self.drawn} images instead of {self.drawn + self.spared}, "
            f"{100 * self.spared / (self.drawn + self.spared):.0f} % spared."
        )

    @staticmethod
    def run(found: Sequence[Snapshot], draw: Draw, few: int, least: int, choice: Choice, ruler: Ruler) -> "Screening":
        """Measures the first `few` images of every snapshot, then all images of the front-runners.

        Args:
            found: The snapshots.
            draw: The images of each.
            few: Images of the first round; all of them = there is no second.
            least: Front-runners at least.
            choice: Tells the front-runners.
            ruler: Measures.
        """
        rows: list[Row] = []
        stage_metrics().plan("snapshots", len(found))
        for snapshot in found:
            rows.append(ruler.row(snapshot, ruler.draw(snapshot, draw.part(0, few)), full=few == len(draw)))
            stage_metrics().count_done("snapshots")
            show(rows[-1], rows)
            log(f"{snapshot.kimg:g} kimg: KID {rows[-1]['kid']:.4g} in features of {ruler.network.title}")
        again = choice.front_runners(rows, least) if few < len(draw) else []
        for place in again:
            first, rest = (ruler.draw(found[place], part) for part in (draw.part(0, few), draw.part(few, len(draw))))
            whole = Sample(np.concatenate([first.features, rest.features]), draw.classes)
            rows[place] = ruler.row(found[place], whole, full=True)
            show(rows[place], rows)
            log(f"{found[place].kimg:g} kimg: FID {rows[place]['fid']:.4g} in features of {ruler.network.title}")
        drawn = few * len(found) + (len(draw) - few) * len(again)
        return Screening(rows, drawn, len(draw) * len(found) - drawn)
