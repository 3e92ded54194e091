"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import GanDataset, GanSnapshots, Record
from components.kfp_component import stage_component


@stage_component
def gan_train(
    dataset: dsl.Input[GanDataset],
    snapshots: dsl.Output[GanSnapshots],
    gan_page: dsl.Output[dsl.HTML],
    gan_record: dsl.Output[Record],
    gan_metrics: dsl.Output[dsl.Metrics],
    seed: int = 0,
    profile: str = "none",
    shared: dict = {},
    options: dict = {},
) -> None:
    arguments = locals()
    from components.kfp_runtime import run_stage

    run_stage(gan_train, arguments, "launcher")
