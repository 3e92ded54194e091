"""The record of `gan_train`: how the networks were trained, how far, and what was measured on the way."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TickRow:
    """Means over one tick, the stretch between two entries of the statistics; also a line of `stats.jsonl`.

    Attributes:
        kimg: Real images shown so far, thousands.
        loss_g: Generator's loss; None, here and below = not measured in this tick.
        loss_d: Discriminator's loss.
        r1_penalty: Squared gradient norm of the discriminator at real tiles.
        path_length: Length of the image's derivative in w.
        score_real: Discriminator's output for real tiles.
        score_fake: Discriminator's output for generated tiles.
        sign_real: Mean sign of `score_real`, -1..1, which ADA steers by.
        augment_p: Probability of augmentations at the tick's end, 0..1.
        lost_steps: Largest share of a phase's optimizer steps with non-finite gradients, 0..1.
        lost_g_main: Number of such steps of the generator's main phase.
        lost_g_reg: Number of such steps of path-length regularisation.
        lost_d_main: Number of such steps of the discriminator's main phase.
        lost_d_reg: Number of such steps of R1 regularisation.
        norm_g_main: Gradient norm of the generator's main phase.
        norm_g_reg: Gradient norm of path-length regularisation.
        norm_d_main: Gradient norm of the discriminator's main phase.
        norm_d_reg: Gradient norm of R1 regularisation.
        sec_per_kimg: Seconds per thousand images, snapshots and grids left out.
        memory_gb: Peak memory of the first process so far, GiB.
        recall: Recall of the snapshot's thumbnails, 0..1; None = no snapshot at this tick.
        distance: Fréchet distance of the snapshot's thumbnails; None = no snapshot, or non-finite images.
    """

    kimg: float
    loss_g: float | None
    loss_d: float | None
    r1_penalty: float | None
    path_length: float | None
    score_real: float | None
    score_fake: float | None
    sign_real: float | None
    augment_p: float
    lost_steps: float
    lost_g_main: int
    lost_g_reg: int
    lost_d_main: int
    lost_d_reg: int
    norm_g_main: float | None
    norm_g_reg: float | None
    norm_d_main: float | None
    norm_d_reg: float | None
    sec_per_kimg: float
    memory_gb: float
    recall: float | None = None
    distance: float | None = None


@dataclass(frozen=True)
class GanRecord:
    """What `gan_train` writes down.

    Attributes:
        kimg: Real images shown, thousands.
        tiles: Number of training tiles.
        classes: Number of classes; 0 = unconditional.
        resolution: Side of the tiles, pixels.
        batch: Images per iteration, over all processes.
        gamma: Weight of the R1 penalty.
        learning_rate: Learning rate of both networks.
        ema_kimg: Half-life of the generator's moving average, thousands of images.
        seed: Seed of everything random.
        augment: Augmentation mode: ada, fixed or noaug.
        augment_p: Probability of augmentations at the end, 0..1.
        precision: Number format of the highest resolutions: fp32, fp16 or bf16.
        symmetry: Orientations in which tiles are shown: none, mirror or d4.
        parameters_g: Number of the generator's parameters.
        parameters_d: Number of the discriminator's parameters.
        device: Name of the GPU, or cpu.
        processes: Number of processes that shared each batch.
        sec_per_kimg: Seconds per thousand images over the whole training, snapshots and grids left out.
        stopped: Reason for an early end, a sentence; '' = trained to the end.
        resume_from: File name of the network that the training started from; '' = new networks.
        ticks: Statistics over time.
    """

    kimg: float
    tiles: int
    classes: int
    resolution: int
    batch: int
    gamma: float
    learning_rate: float
    ema_kimg: float
    seed: int
    augment: str
    augment_p: float
    precision: str
    symmetry: str
    parameters_g: int
    parameters_d: int
    device: str
    processes: int
    sec_per_kimg: float
    stopped: str = ""
    resume_from: str = ""
    ticks: list[TickRow] = field(default_factory=list)
