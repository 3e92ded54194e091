"""The stage as a KFP component."""

from typing import NamedTuple

from kfp import dsl

from components.artifacts import Manifest, TileSet
from components.kfp_stage import stage_component


@stage_component
def tile(
    sources: list,
    tiles: dsl.Output[TileSet],
    manifest: dsl.Output[Manifest],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    labels: list = [],
    sites: list = [],
    mpp: dict = {},
    study_mpp: float = 0.0,
    tile_px: int = 512,
    resolution: int = 0,
    small: dict = {},
    patient_pattern: str = "",
    tile_level: list = [],
    blind: bool = False,
    skip_bad: bool = False,
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
        blind=blind,
        skip_bad=skip_bad,
        data_version=data_version,
    )
    publish(metrics, tiles, manifest)
    return namedtuple("Cut", ["mpp_of_study"])(mpp_of_study)
