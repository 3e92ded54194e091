"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import GanDataset, GanSnapshots, Generator, HeldOut
from components.kfp_stage import stage_component


@stage_component
def fid_select(
    snapshots: dsl.Input[GanSnapshots],
    dataset: dsl.Input[GanDataset],
    held_out: dsl.Input[HeldOut],
    generator: dsl.Output[Generator],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    rule: str = "kid_held_out",
    images: int = 50000,
    extractor: str = "efficientnet_lite0",
    extractor_px: int = 224,
    weights_dir: str = "",
    batch: int = 64,
    seed: int = 0,
    device: str = "auto",
) -> None:
    from components.fid_select.stage import run
    from components.kfp_stage import publish

    run(
        snapshots=snapshots.path,
        dataset=dataset.path,
        held_out=held_out.path,
        generator=generator.path,
        page=page.path,
        metrics=metrics.path,
        rule=rule,
        images=images,
        extractor=extractor,
        extractor_px=extractor_px,
        weights_dir=weights_dir,
        batch=batch,
        seed=seed,
        device=device,
    )
    publish(metrics, generator)
