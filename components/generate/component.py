"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import GanDataset, Generator, HeldOut, SplitPlan, SyntheticTiles
from components.kfp_stage import stage_component


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
    allow_leakage: bool = False,
    trust_origin: str = "",
) -> None:
    from components.generate.stage import run
    from components.kfp_stage import publish

    run(
        generator=generator.path,
        dataset=dataset.path,
        held_out=held_out.path,
        plan=plan.path,
        fold=fold,
        synthetic=synthetic.path,
        page=page.path,
        metrics=metrics.path,
        scheme=scheme,
        arms=arms,
        psi=psi,
        seed=seed,
        batch=batch,
        extractor=extractor,
        extractor_px=extractor_px,
        weights_dir=weights_dir,
        device=device,
        near_copy_gate=near_copy_gate,
        allow_leakage=allow_leakage,
        trust_origin=trust_origin,
    )
    publish(metrics, synthetic)
