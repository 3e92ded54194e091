"""The record of `fid_select`: what every snapshot measured, and which one was chosen by which rule."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Distances:
    """Distances of generated images to real tiles; None = not measured, or a set that is too small for it.

    Attributes:
        images: Generated images.
        tiles: Training tiles.
        tiles_held_out: Held-out tiles.
        full: Whether all distances were measured on all images.
        fid: Fréchet distance to the training tiles.
        kid: Kernel distance to the training tiles.
        kid_se: Standard error of `kid`.
        kid_sampling_se: Part of `kid_se` that more images would remove.
        fid_held_out: Fréchet distance to the held-out tiles.
        kid_held_out: Kernel distance to the held-out tiles.
        kid_held_out_se: Standard error of `kid_held_out`.
        kid_held_out_sampling_se: Part of `kid_held_out_se` that more images would remove.
        precision: Share of generated images near a training tile, 0..1.
        recall: Share of training tiles near a generated image, 0..1.
        density: Density of generated images around training tiles.
        coverage: Share of training tiles with a generated image as neighbour, 0..1.
    """

    images: int
    tiles: int
    tiles_held_out: int
    full: bool
    fid: float | None = None
    kid: float | None = None
    kid_se: float | None = None
    kid_sampling_se: float | None = None
    fid_held_out: float | None = None
    kid_held_out: float | None = None
    kid_held_out_se: float | None = None
    kid_held_out_sampling_se: float | None = None
    precision: float | None = None
    recall: float | None = None
    density: float | None = None
    coverage: float | None = None


@dataclass(frozen=True, kw_only=True)
class ClassDistances(Distances):
    """The same of one class.

    Attributes:
        name: Name of the class.
    """

    name: str


@dataclass(frozen=True, kw_only=True)
class SnapshotRow(Distances):
    """One snapshot.

    Attributes:
        kimg: Real images that it was trained with, thousands.
        classes: Distances of each class.
        fid_screening: Fréchet distance of the first round's images; None = the snapshot was measured in full.
        chosen: Whether it became the generator.
    """

    kimg: float
    classes: list[ClassDistances]
    fid_screening: float | None = None
    chosen: bool = False


@dataclass(frozen=True, kw_only=True)
class SelectionRecord:
    """What `fid_select` writes down.

    Attributes:
        extractor: Name of the feature network.
        extractor_sha256: SHA-256 of its weights; '' = random weights.
        extractor_trained: Whether its weights are trained.
        extractor_px: Side of its input, pixels.
        extractor_resize: Method by which images are resized to that side.
        rule: kid_held_out or fid_train.
        reason: Why the chosen snapshot was chosen, as a sentence.
        images: Images of a snapshot that is measured in full.
        noise: Noise of the drawn images: const.
        screening_images: Images of the first round; 0 = there was none.
        images_drawn: Images drawn in all.
        images_spared: Images that a full measure of every snapshot would have drawn beyond these.
        chosen_kimg: Position of the chosen snapshot in the training, thousands of images.
        fid: Its Fréchet distance to the training tiles.
        kid: Its kernel distance to the training tiles.
        seed: Seed of classes, latents and subsets.
        snapshots: Every snapshot, in the order of training.
        notes: What a reader must know, sentences.
    """

    extractor: str
    extractor_sha256: str
    extractor_trained: bool
    extractor_px: int
    extractor_resize: str
    rule: str
    reason: str
    images: int
    noise: str
    screening_images: int
    images_drawn: int
    images_spared: int
    chosen_kimg: float
    fid: float | None = None
    kid: float | None = None
    seed: int
    snapshots: list[SnapshotRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def generator_row(self) -> SnapshotRow:
        """The row of the chosen snapshot."""
        return next(row for row in self.snapshots if row.chosen)
