"""The stage as a KFP component.

It is the first task of a run, so it takes the other stages' groups too: they are validated before any image is read.
"""

from typing import NamedTuple

from kfp import dsl

from components.artifacts import DataCard, Manifest, Record, SplitPlan, TileSet
from components.kfp_component import stage_component


@stage_component
def tile(
    sources: list,
    tiles: dsl.Output[TileSet],
    manifest: dsl.Output[Manifest],
    tile_page: dsl.Output[dsl.HTML],
    data_card: dsl.Output[dsl.HTML],
    card_values: dsl.Output[DataCard],
    tile_record: dsl.Output[Record],
    tile_metrics: dsl.Output[dsl.Metrics],
    reference: dsl.Input[TileSet] = None,
    plan: dsl.Input[SplitPlan] = None,
    labels: list = [],
    sites: list = [],
    mpp: dict = {},
    target_mpp: float = 0.0,
    blind: bool = False,
    seed: int = 0,
    profile: str = "none",
    shared: dict = {},
    options: dict = {},
    split: dict = {},
    gan: dict = {},
    selection: dict = {},
    generation: dict = {},
    classifier: dict = {},
    evaluation: dict = {},
    umap: dict = {},
    report: dict = {},
) -> NamedTuple("Study", [("mpp_of_study", float)]):
    arguments = locals()
    from components.kfp_runtime import run_stage

    return (run_stage(tile, arguments),)
