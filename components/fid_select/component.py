"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import GanDataset, GanSnapshots, Generator, HeldOut, Record
from components.kfp_component import stage_component


@stage_component
def fid_select(
    snapshots: dsl.Input[GanSnapshots],
    dataset: dsl.Input[GanDataset],
    held_out: dsl.Input[HeldOut],
    generator: dsl.Output[Generator],
    selection_page: dsl.Output[dsl.HTML],
    selection_record: dsl.Output[Record],
    selection_metrics: dsl.Output[dsl.Metrics],
    seed: int = 0,
    profile: str = "none",
    shared: dict = {},
    options: dict = {},
) -> None:
    arguments = locals()
    from components.kfp_runtime import run_stage

    run_stage(fid_select, arguments)
