"""The record of `generate`: the tiles of every arm, the near-copies that were dropped, and how each class came out."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ArmCountRow:
    """Generated tiles that one arm adds to one class.

    Attributes:
        arm: Name of the arm.
        class_index: Class index in the GanDataset.
        name: Name of the class.
        label: Binary class, 0 or 1.
        train_tiles: Training tiles of the class.
        added: Generated tiles that the arm adds.
    """

    arm: str
    class_index: int = field(metadata={"key": "class"})
    name: str
    label: int
    train_tiles: int
    added: int


@dataclass(frozen=True)
class ClassFidelityRow:
    """How the generated tiles of one class compare with its real ones; None = too few tiles to measure.

    Attributes:
        name: Name of the class.
        generated: Generated tiles that passed the near-copy gate.
        recognised: Share of them that a linear probe assigns to the class, 0..1; None, too, where there is one class.
        held_out: Held-out real tiles.
        held_out_recognised: Share of them that the probe assigns to the class, 0..1.
        spread: Spread of the generated tiles' features, as a multiple of the training tiles'.
        alarm: Why the class seems to have collapsed, a sentence; '' = it does not.
        class_index: Class index in the GanDataset.
        near_copies: Near-copies of training tiles that were dropped.
    """

    name: str
    generated: int
    recognised: float | None
    held_out: int
    held_out_recognised: float | None
    spread: float | None
    alarm: str
    class_index: int = field(metadata={"key": "class"})
    near_copies: int


@dataclass(frozen=True, kw_only=True)
class GenerationRecord:
    """What `generate` writes down.

    Attributes:
        extractor: Name of the feature network.
        extractor_sha256: SHA-256 of its weights; '' = random weights.
        extractor_trained: Whether its weights are trained.
        extractor_px: Side of its input, pixels.
        extractor_resize: Method by which images are resized to that side.
        tiles: Generated tiles.
        resolution: Side of the tiles, pixels.
        mpp: Micrometres per pixel of the training tiles; None = unknown or mixed.
        near_copies: Near-copies of training tiles that were drawn and dropped.
        near_copy_gate: Whether near-copies were looked for.
        near_copy_ratio: Ratio of feature distances below which an image is a near-copy; None = no gate.
        near_copy_apart: Image distance below which an image is a near-copy; None = no gate.
        generator_sha256: SHA-256 of the generator's file.
        psi: Truncation, 0..1; 1 = none.
        truncated_towards: What images are truncated towards, in words.
        seed: Seed from which the latent seeds follow.
        mark: Text that every number made from these tiles carries; '' = none.
        arms: Generated tiles by arm and class.
        classes: Fidelity of every class.
    """

    extractor: str
    extractor_sha256: str
    extractor_trained: bool
    extractor_px: int
    extractor_resize: str
    tiles: int
    resolution: int
    mpp: float | None = None
    near_copies: int
    near_copy_gate: bool = True
    near_copy_ratio: float | None = None
    near_copy_apart: float | None = None
    generator_sha256: str
    psi: float
    truncated_towards: str
    seed: int
    mark: str = ""
    arms: list[ArmCountRow] = field(default_factory=list)
    classes: list[ClassFidelityRow] = field(default_factory=list)
