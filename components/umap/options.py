"""Options of umap: the group `umap`."""

from dataclasses import dataclass

from components.core.options.fields import option

GROUP = "umap"
SHARED = ("extractor_px", "weights_dir", "device")


@dataclass(frozen=True)
class UmapOptions:
    """The group `umap`."""

    extractor: str = option(
        "efficientnet_lite0",
        "Feature network of the map and the domain gap: efficientnet_lite0, resnet50, resnet101, inception2015, or "
        "NAME of a NAME.json in the weights folder.",
    )
    neighbors: int = option(15, "Size of UMAP's neighbourhood, tiles; also of the kNN mixing.", low=2)
    min_dist: float = option(0.1, "Least distance of two points on the map.", low=0, high=1)
    max_tiles: int = option(2000, "Most tiles on the map, the same number of every domain.", low=1)
    synthetic_each: int | None = option(
        None,
        "Synthetic tiles of each class, besides at most max_tiles real ones (Thy-GAN's figure has 750); left out = as "
        "many as of every domain, within max_tiles.",
        low=1,
    )
