"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import GanDataset, HeldOut, Record, SplitPlan, TileSet
from components.kfp_component import stage_component


@stage_component
def pack(
    tiles: dsl.Input[TileSet],
    plan: dsl.Input[SplitPlan],
    fold: str,
    dataset: dsl.Output[GanDataset],
    held_out: dsl.Output[HeldOut],
    pack_record: dsl.Output[Record],
    pack_metrics: dsl.Output[dsl.Metrics],
    scheme: str = "binary",
) -> None:
    arguments = locals()
    from components.kfp_runtime import run_stage

    run_stage(pack, arguments)
