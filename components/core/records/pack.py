"""The record of `pack`: how many tiles of each class the GAN is trained on and selected by."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ClassRow:
    """One class of the label scheme.

    Attributes:
        index: Class index in the GanDataset.
        name: Name of the class.
        label: Binary class, 0 or 1.
        tiles: Tiles of training patients.
        held_out: Tiles of validation patients.
    """

    index: int
    name: str
    label: int
    tiles: int
    held_out: int


@dataclass(frozen=True)
class PackRecord:
    """What `pack` writes down; the scalar `classes` of its file lists their names.

    Attributes:
        tiles: Tiles of training patients.
        held_out_tiles: Tiles of validation patients.
        resolution: Side of the tiles, pixels.
        classes: Tiles of every class.
    """

    tiles: int
    held_out_tiles: int
    resolution: int
    classes: list[ClassRow] = field(default_factory=list)
