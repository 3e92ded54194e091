"""The stage as a KFP component."""

from typing import List

from kfp import dsl

from components.artifacts import DomainGap, Manifest, TileSet
from components.kfp_component import stage_component


@stage_component
def umap(
    tiles: dsl.Input[TileSet],
    external_tiles: dsl.Input[TileSet],
    external_labels: dsl.Input[Manifest],
    synthetic: dsl.Input[List[dsl.Artifact]],
    page: dsl.Output[dsl.HTML],
    gap: dsl.Output[DomainGap],
    metrics: dsl.Output[dsl.Metrics],
    extractor: str = "resnet50",
    extractor_px: int = 224,
    weights_dir: str = "",
    neighbors: int = 15,
    min_dist: float = 0.1,
    max_tiles: int = 2000,
    synthetic_each: int = 0,
    seed: int = 0,
    device: str = "auto",
) -> None:
    given = locals()
    from components.kfp_runtime import run_stage

    run_stage(umap, given)
