"""The stage as a KFP component."""

from typing import NamedTuple

from kfp import dsl

from components.artifacts import Manifest, Record, SplitPlan, StudyPlan
from components.kfp_component import stage_component


@stage_component
def split(
    manifest: dsl.Input[Manifest],
    plan: dsl.Output[SplitPlan],
    study: dsl.Output[StudyPlan],
    split_record: dsl.Output[Record],
    split_metrics: dsl.Output[dsl.Metrics],
    seed: int = 0,
    external_sites: list = [],
    profile: str = "none",
    shared: dict = {},
    options: dict = {},
) -> NamedTuple("Items", [("final", list), ("cross_validation", list)]):
    arguments = locals()
    from components.kfp_runtime import run_stage

    return tuple(run_stage(split, arguments))
