"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import GanDataset, Generator, HeldOut, Record, SplitPlan, SyntheticTiles
from components.kfp_component import stage_component


@stage_component
def generate(
    generator: dsl.Input[Generator],
    dataset: dsl.Input[GanDataset],
    held_out: dsl.Input[HeldOut],
    plan: dsl.Input[SplitPlan],
    fold: str,
    synthetic: dsl.Output[SyntheticTiles],
    generation_page: dsl.Output[dsl.HTML],
    generation_record: dsl.Output[Record],
    generation_metrics: dsl.Output[dsl.Metrics],
    scheme: str = "binary",
    arms: list = ["bi100"],
    seed: int = 0,
    profile: str = "none",
    shared: dict = {},
    options: dict = {},
) -> None:
    arguments = locals()
    from components.kfp_runtime import run_stage

    run_stage(generate, arguments)
