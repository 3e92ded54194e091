"""Coarse to fine: a few images of every snapshot, all images of the shortlist."""

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
from components.fid_select.measure import LEAST, ClassFeatures, measure
from components.fid_select.metrics import set_gauges
from components.fid_select.selection_rule import SelectionRule, SnapshotValues
from components.fid_select.snapshot_samples import ImagePlan, Snapshot


@dataclass(frozen=True)
class SnapshotEvaluator:
    """What snapshots are measured with.

    Attributes:
        train: Features of the training tiles.
        held_out: Features of tiles of patients that no snapshot has seen.
        classes: `index`, `name` of each class.
        side_px: Side of a tile, pixels.
        network: Feature network.
        cache: Cache of its features.
        batch: Images per pass.
        seed: Seed of the kernel distance's subsets.
    """

    train: ClassFeatures
    held_out: ClassFeatures
    classes: Sequence[dict[str, Any]]
    side_px: int
    network: Extractor
    cache: FeatureCache
    batch: int
    seed: int

    @staticmethod
    def for_tiles(
        real: ImageArchive,
        unseen: ImageArchive,
        classes: Sequence[dict[str, Any]],
        network: Extractor,
        cache: FeatureCache,
        batch: int,
        seed: int,
    ) -> "SnapshotEvaluator":
        """The evaluator for these tiles; raises DataError where the training tiles are fewer than `LEAST`."""
        if len(real) < LEAST:
            raise DataError(f"{real.path} has {len(real)} tiles, too few to compare with: give the training data.")
        train, held_out = (
            ClassFeatures(
                cache.of_archive(tiles, batch, f"features of {what} tiles"), tiles.manifest["label"].to_numpy(int)
            )
            for tiles, what in ((real, "training"), (unseen, "held-out"))
        )
        return SnapshotEvaluator(train, held_out, classes, real.resolution, network, cache, batch, seed)

    def sample(self, snapshot: Snapshot, plan: ImagePlan) -> ClassFeatures:
        """Features of a snapshot's images."""
        return snapshot.sample(plan, self.side_px, self.network, self.cache, self.batch)

    def evaluate(self, snapshot: Snapshot, fakes: ClassFeatures, *, full: bool) -> SnapshotValues:
        """The snapshot's distances."""
        distances = measure(fakes, self.train, self.held_out, self.classes, self.seed, full=full)
        return {"kimg": snapshot.kimg, **distances}


@dataclass(frozen=True)
class ScreeningResult:
    """The measured snapshots and what it took.

    Attributes:
        rows: One row per snapshot, in the order of training; `full` says whether it was measured in full.
        images_drawn: Images drawn in all.
        images_saved: Images that the full measure of every snapshot would have drawn beyond these.
    """

    rows: list[SnapshotValues]
    images_drawn: int
    images_saved: int

    @property
    def cost(self) -> str:
        """How much was drawn, and how much the first round saved, as a sentence."""
        full = [row for row in self.rows if row["full"]]
        if len(full) == len(self.rows):
            return f"Every snapshot was measured on {full[0]['images']} images."
        screened = next(row["images"] for row in self.rows if not row["full"])
        total = self.images_drawn + self.images_saved
        return (
            f"A first round by KID on {screened} images of each of {len(self.rows)} snapshots left {len(full)}, which "
            f"were measured on {full[0]['images']}: {self.images_drawn} images instead of {total}, "
            f"{100 * self.images_saved / total:.0f} % saved."
        )


def screen_snapshots(
    snapshots: Sequence[Snapshot],
    plan: ImagePlan,
    screening_images: int,
    finalists: int,
    rule: SelectionRule,
    evaluator: SnapshotEvaluator,
) -> ScreeningResult:
    """Measures the first images of every snapshot, then all images of the shortlist.

    Args:
        snapshots: The snapshots, in the order of training.
        plan: The images of each.
        screening_images: Images of the first round; all of the plan's = there is no second round.
        finalists: Least length of the shortlist.
        rule: The rule that makes the shortlist.
        evaluator: What measures.
    """
    rows: list[SnapshotValues] = []
    is_only_round = screening_images == len(plan)
    stage_metrics().plan("snapshots", len(snapshots))
    for snapshot in snapshots:
        few = evaluator.sample(snapshot, plan.part(0, screening_images))
        rows.append(evaluator.evaluate(snapshot, few, full=is_only_round))
        stage_metrics().count_done("snapshots")
        set_gauges(rows[-1], rows)
        log(f"{snapshot.kimg:g} kimg: KID {rows[-1]['kid']:.4g} in features of {evaluator.network.title}")
    shortlist = [] if is_only_round else rule.shortlist(rows, finalists)
    for place in shortlist:
        snapshot = snapshots[place]
        parts = (plan.part(0, screening_images), plan.part(screening_images, len(plan)))
        first, rest = (evaluator.sample(snapshot, part) for part in parts)
        whole = ClassFeatures(np.concatenate([first.features, rest.features]), plan.classes)
        rows[place] = evaluator.evaluate(snapshot, whole, full=True)
        set_gauges(rows[place], rows)
        log(f"{snapshot.kimg:g} kimg: FID {rows[place]['fid']:.4g} in features of {evaluator.network.title}")
    images_drawn = screening_images * len(snapshots) + (len(plan) - screening_images) * len(shortlist)
    return ScreeningResult(rows, images_drawn, len(plan) * len(snapshots) - images_drawn)
