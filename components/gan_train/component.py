"""The stage as a KFP component."""

from kfp import dsl

from components.artifacts import GanDataset, GanSnapshots
from components.kfp_component import stage_component


@stage_component
def gan_train(
    dataset: dsl.Input[GanDataset],
    snapshots: dsl.Output[GanSnapshots],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    preset: str = "auto",
    kimg: float = 0.0,
    batch: int = 0,
    batch_gpu: int = 0,
    memory_gb: float = 0.0,
    channel_base: int = 0,
    channel_max: int = 512,
    mapping_layers: int = 0,
    d_mapping_layers: int = 8,
    latent_dim: int = 512,
    gamma: float = 0.0,
    pl_weight: float = -1.0,
    style_mixing: float = -1.0,
    learning_rate: float = 0.0,
    ema_kimg: float = 0.0,
    mirror: bool = True,
    symmetry: str = "",
    balanced: bool = False,
    augment: str = "ada",
    augment_p: float = 0.0,
    augment_pipe: str = "bgc",
    ada_target: float = 0.6,
    ada_kimg: float = 0.0,
    freeze_d: int = 0,
    precision: str = "auto",
    snapshot_kimg: float = 0.0,
    keep_best: int = 0,
    stop_on_collapse: bool = True,
    resume_from: str = "",
    trust_origin: str = "",
    checkpoint_uri: str = "",
    checkpoint_minutes: float = 10.0,
    compile: bool = False,
    seed: int = 0,
    device: str = "auto",
    dry_run: bool = False,
    train_job: dict = {},
) -> None:
    given = locals()
    from components.kfp_runtime import run_stage

    run_stage(gan_train, given, "launch")
