"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import GanDataset, Generator, HeldOut, SplitPlan, SyntheticTiles
from components.kfp_component import stage_component


@stage_component
def generate(
    generator: dsl.Input[Generator],
    dataset: dsl.Input[GanDataset],
    held_out: dsl.Input[HeldOut],
    plan: dsl.Input[SplitPlan],
    fold: str,
    synthetic: dsl.Output[SyntheticTiles],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    scheme: str = "binary",
    arms: list = ["bi100"],
    psi: float = 1.0,
    seed: int = 0,
    batch: int = 32,
    extractor: str = "efficientnet_lite0",
    extractor_px: int = 224,
    weights_dir: str = "",
    device: str = "auto",
    near_copy_gate: bool = True,
    gan_params: dict = {},
    allow_leakage: bool = False,
    trust_origin: str = "",
) -> None:
    given = locals()
    from components.kfp_runtime import run_stage

    run_stage(generate, given)
