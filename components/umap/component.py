"""The stage as a KFP component."""

from typing import List

from kfp import dsl

from components.artifacts import DomainGap, Manifest, Record, TileSet
from components.kfp_component import stage_component


@stage_component
def umap(
    tiles: dsl.Input[TileSet],
    external_tiles: dsl.Input[TileSet],
    external_labels: dsl.Input[Manifest],
    synthetic: dsl.Input[List[dsl.Artifact]],
    umap_page: dsl.Output[dsl.HTML],
    gap: dsl.Output[DomainGap],
    umap_record: dsl.Output[Record],
    umap_metrics: dsl.Output[dsl.Metrics],
    seed: int = 0,
    profile: str = "none",
    shared: dict = {},
    options: dict = {},
) -> None:
    arguments = locals()
    from components.kfp_runtime import run_stage

    run_stage(umap, arguments)
