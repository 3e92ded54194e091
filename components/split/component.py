"""The stage as a KFP component."""

from typing import NamedTuple

from kfp import dsl

from components.artifacts import Manifest, SplitPlan, StudyPlan
from components.kfp_component import stage_component


@stage_component
def split(
    manifest: dsl.Input[Manifest],
    plan: dsl.Output[SplitPlan],
    study: dsl.Output[StudyPlan],
    metrics: dsl.Output[dsl.Metrics],
    folds: int = 5,
    val_fraction: float = 0.2,
    seed: int = 0,
    import_splits: str = "",
    preserve_sites: bool = False,
    arms: list = ["none", "stain-aug", "bi100", "bi100-real"],
    classifier_seeds: int = 3,
    vote: str = "majority",
    threshold: str = "0.5",
    relevant_difference: float = 0.1,
    external_sites: list = [],
    tile_level: list = [],
    demonstration: bool = False,
) -> NamedTuple("Items", [("final", list), ("cross_validation", list)]):
    given = locals()
    from components.kfp_runtime import run_stage

    return tuple(run_stage(split, given))
