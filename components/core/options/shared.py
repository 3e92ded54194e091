"""Options that several stages need, stated once per run: the group `shared`.

A stage says in `SHARED` of its `options.py` which of them it reads; only those enter its cache key and its shell.
"""

from dataclasses import dataclass

from components.core.options.fields import option


@dataclass(frozen=True)
class SharedOptions:
    """The group `shared`."""

    extractor: str = option(
        "efficientnet_lite0",
        "Feature network of FID, KID and the near-copy gate: efficientnet_lite0, resnet50, resnet101, inception2015, "
        "or NAME of a NAME.json in the weights folder.",
    )
    extractor_px: int = option(
        224, "Side of the feature network's input, pixels, a multiple of 32; inception2015 always takes 299.", low=32
    )
    weights_dir: str = option(
        "",
        "Folder or s3://bucket/prefix with network weights; empty = THYGAN_WEIGHTS, installed packages, a cache, a "
        "mirror, the network.",
        affects_result=False,
    )
    device: str = option(
        "auto",
        "auto (every GPU, else the CPU), cpu, cuda, cuda:N, or several separated by commas.",
        affects_result=False,
    )
    checkpoint_uri: str = option(
        "",
        "Folder or s3://bucket/prefix that keeps unfinished trainings, so that a killed one resumes; empty = it starts "
        "again.",
        affects_result=False,
    )
    checkpoint_minutes: float = option(10.0, "Minutes between two checkpoints.", low=0, affects_result=False)
    tile_level: tuple[str, ...] = option(
        (), "External sites whose tiles have no patients: tile metrics only, never a vote, a test or a verdict."
    )
    published: bool = option(
        False,
        "Train and test the classifiers in Thy-GAN's way where that changes numbers. With allow_leakage one generator "
        "serves all folds, too.",
    )
    allow_leakage: bool = option(
        False, "Continue although a network has seen validation or test patients; every number is marked."
    )
    trust_origin: str = option(
        "", "Where a network comes from whose patients cannot be proven disjoint, as a sentence; it is printed."
    )
