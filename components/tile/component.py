"""The stage as a KFP component."""

from typing import NamedTuple

from kfp import dsl

from components.artifacts import DataCard, Manifest, SplitPlan, TileSet
from components.kfp_component import stage_component


@stage_component
def tile(
    sources: list,
    tiles: dsl.Output[TileSet],
    manifest: dsl.Output[Manifest],
    page: dsl.Output[dsl.HTML],
    card: dsl.Output[dsl.HTML],
    card_values: dsl.Output[DataCard],
    metrics: dsl.Output[dsl.Metrics],
    reference: dsl.Input[TileSet] = None,
    plan: dsl.Input[SplitPlan] = None,
    labels: list = [],
    sites: list = [],
    mpp: dict = {},
    study_mpp: float = 0.0,
    tile_px: int = 512,
    resolution: int = 0,
    small: dict = {},
    patient_pattern: str = "",
    tile_level: list = [],
    licences: dict = {},
    blind: bool = False,
    skip_bad: bool = False,
    slide_tiles: int = 20,
    min_tissue: float = 0.5,
    slide_filter: str = "none",
    seed: int = 0,
    data_version: str = "",
) -> NamedTuple("Cut", [("mpp_of_study", float)]):
    given = locals()
    from components.kfp_runtime import run_stage

    return (run_stage(tile, given),)
