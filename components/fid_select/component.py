"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import GanDataset, GanSnapshots, Generator, HeldOut
from components.kfp_component import stage_component


@stage_component
def fid_select(
    snapshots: dsl.Input[GanSnapshots],
    dataset: dsl.Input[GanDataset],
    held_out: dsl.Input[HeldOut],
    generator: dsl.Output[Generator],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    rule: str = "kid_held_out",
    images: int = 50000,
    screening_images: int = 2000,
    finalists: int = 3,
    cache_uri: str = "",
    extractor: str = "efficientnet_lite0",
    extractor_px: int = 224,
    weights_dir: str = "",
    batch: int = 64,
    seed: int = 0,
    device: str = "auto",
) -> None:
    given = locals()
    from components.kfp_runtime import run_stage

    run_stage(fid_select, given)
