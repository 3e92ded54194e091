"""The record of `umap`: how many tiles are on the map, by which network, and the domain gap."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class GapRow:
    """One measure between the source and one external site, with the tiles of one arm or without any.

    Attributes:
        source: Names of the source's sites.
        target: Name of the external site.
        metric: Name of the measure.
        value: The measure; None, here and below = undefined.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
        with_arm: Arm whose synthetic tiles are mixed into the source; '' = the source alone.
        change: The value with the arm's tiles minus the value without.
        change_low: Lower end of the change's 95 % interval.
        change_high: Upper end of the change's 95 % interval.
        gap: Direction of the change: fell, rose or not shown; '' = the source alone.
    """

    source: str
    target: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    with_arm: str
    change: float | None
    change_low: float | None
    change_high: float | None
    gap: str


@dataclass(frozen=True)
class UmapRecord:
    """What `umap` writes down.

    Attributes:
        tiles_there_are: Tiles before sampling, of all domains.
        tiles: Tiles on the map.
        extractor: Name of the feature network.
        extractor_sha256: SHA-256 of its weights; '' = random weights.
        extractor_trained: Whether its weights are trained.
        extractor_px: Side of its input, pixels.
        extractor_resize: Method by which tiles are resized to that side.
        neighbors: Size of a neighbourhood, tiles.
        min_dist: Least distance of two points on the map.
        gap: The domain gap, row by row.
    """

    tiles_there_are: int
    tiles: int
    extractor: str
    extractor_sha256: str
    extractor_trained: bool
    extractor_px: int
    extractor_resize: str
    neighbors: int
    min_dist: float
    gap: list[GapRow] = field(default_factory=list)
