"""The stage as a KFP component."""

from typing import NamedTuple

from kfp import dsl

from components.artifacts import DataCard, Manifest, SplitPlan, TileSet
from components.kfp_stage import stage_component


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
    from collections import namedtuple

    from components.kfp_stage import publish
    from components.tile.stage import run

    mpp_of_study = run(
        sources=sources,
        tiles=tiles.path,
        manifest=manifest.path,
        page=page.path,
        card=card.path,
        card_values=card_values.path,
        metrics=metrics.path,
        labels=labels,
        sites=sites,
        mpp=mpp,
        study_mpp=study_mpp,
        tile_px=tile_px,
        resolution=resolution,
        small=small,
        patient_pattern=patient_pattern,
        tile_level=tile_level,
        licences=licences,
        blind=blind,
        skip_bad=skip_bad,
        slide_tiles=slide_tiles,
        min_tissue=min_tissue,
        slide_filter=slide_filter,
        reference=reference.path if reference else "",
        plan=plan.path if plan else "",
        seed=seed,
        data_version=data_version,
    )
    publish(metrics, tiles, manifest)
    return namedtuple("Cut", ["mpp_of_study"])(mpp_of_study)
