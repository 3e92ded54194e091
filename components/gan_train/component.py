"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import GanDataset, GanSnapshots
from components.kfp_stage import stage_component


@stage_component
def gan_train(
    dataset: dsl.Input[GanDataset],
    snapshots: dsl.Output[GanSnapshots],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    kimg: float = 25000.0,
    batch: int = 0,
    channel_base: int = 0,
    channel_max: int = 512,
    mapping_layers: int = 2,
    latent_dim: int = 512,
    gamma: float = 0.0,
    learning_rate: float = 0.0,
    ema_kimg: float = 0.0,
    mirror: bool = True,
    snapshot_kimg: float = 0.0,
    seed: int = 0,
    device: str = "auto",
) -> None:
    from components.gan_train.stage import run
    from components.kfp_stage import publish

    run(
        dataset=dataset.path,
        snapshots=snapshots.path,
        page=page.path,
        metrics=metrics.path,
        kimg=kimg,
        batch=batch,
        channel_base=channel_base,
        channel_max=channel_max,
        mapping_layers=mapping_layers,
        latent_dim=latent_dim,
        gamma=gamma,
        learning_rate=learning_rate,
        ema_kimg=ema_kimg,
        mirror=mirror,
        snapshot_kimg=snapshot_kimg,
        seed=seed,
        device=device,
    )
    publish(metrics, snapshots)
