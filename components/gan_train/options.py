"""Options of gan_train: the group `gan`."""

from dataclasses import dataclass

from components.core.options.fields import option

GROUP = "gan"
SHARED = ("device", "checkpoint_uri", "checkpoint_minutes", "trust_origin")
PRESETS = ("auto", "stylegan2", "paper256", "paper512", "paper1024", "cifar", "published")
PIPES = ("blit", "geom", "color", "filter", "noise", "cutout", "bg", "bgc", "bgcf", "bgcfn", "bgcfnc", "stain")


@dataclass(frozen=True)
class GanOptions:
    """The group `gan`."""

    preset: str = option(
        "auto",
        "Source of every option that is left out: the rule auto, a configuration of the official release, or Thy-GAN's "
        "published one, which trains with classes.",
        choices=PRESETS,
    )
    kimg: float | None = option(
        None,
        "Length of the training, thousands of real images; left out = the preset's. It may grow when a training "
        "resumes.",
        low=0,
        above=True,
    )
    batch: int | None = option(None, "Images per iteration over all processes; left out = the preset's.", low=2)
    batch_gpu: int | None = option(
        None,
        "Images that a process computes at once. Fewer take less memory and change nothing but rounding; left out = as "
        "memory_gb allows, or the preset's.",
        low=1,
        affects_result=False,
    )
    memory_gb: float | None = option(
        None,
        "Memory limit of a process, GiB; batch_gpu becomes the largest that stays below it. Left out = no limit.",
        low=0,
        above=True,
        affects_result=False,
    )
    channel_base: int | None = option(
        None, "Feature maps at resolution r are channel_base / r; left out = the preset's.", low=1
    )
    channel_max: int = option(512, "Largest number of feature maps at any resolution.", low=1)
    mapping_layers: int | None = option(
        None, "Layers of the generator's mapping network; left out = the preset's.", low=1
    )
    d_mapping_layers: int = option(
        8,
        "Layers of the discriminator's mapping network; fewer may help where a few classes collapse into one image.",
        low=0,
    )
    latent_dim: int = option(512, "Length of the latents z and w.", low=1)
    gamma: float | None = option(
        None,
        "Weight of the R1 penalty; left out = the preset's, in auto 0.0002 resolution² / batch.",
        low=0,
        above=True,
    )
    pl_weight: float | None = option(
        None, "Weight of path-length regularisation, 0 = off; left out = the preset's.", low=0
    )
    style_mixing: float | None = option(
        None, "Probability of mixing two latents, 0 = off; left out = the preset's.", low=0, high=1
    )
    learning_rate: float | None = option(
        None, "Adam's learning rate, of both networks; left out = the preset's.", low=0, above=True
    )
    ema_kimg: float | None = option(
        None,
        "Half-life of the generator's moving average, thousands of images; left out = the preset's.",
        low=0,
        above=True,
    )
    symmetry: str = option(
        "mirror",
        "Orientations in which tiles are shown: none = as they are, mirror = mirrored too, d4 = all eight.",
        choices=("none", "mirror", "d4"),
    )
    balanced: bool = option(False, "Show every class equally often, not as often as it occurs among the tiles.")
    augment: str = option(
        "ada",
        "ada = as much augmentation as keeps the discriminator from memorising the tiles; fixed = always augment_p; "
        "noaug = none.",
        choices=("ada", "noaug", "fixed"),
    )
    augment_p: float = option(0.0, "Probability of augmentations at the start.", low=0, high=1)
    augment_pipe: str = option(
        "bgc",
        "Augmentations: one of the official pipes, or stain = bg with the colours that stained tissue may have.",
        choices=PIPES,
    )
    ada_target: float = option(
        0.6, "Mean sign of the discriminator's output for real tiles at which ADA aims.", low=-1, high=1
    )
    ada_kimg: float | None = option(
        None,
        "Thousands of images in which ADA can raise the probability from 0 to 1; left out = the preset's, or 100 with "
        "resume_from.",
        low=0,
        above=True,
    )
    freeze_d: int = option(0, "Number of the discriminator's first layers that are not trained.", low=0)
    precision: str = option(
        "auto",
        "Number format of the highest resolutions: fp32, fp16 or bf16; auto = fp16 on a GPU, fp32 on a CPU.",
        choices=("auto", "fp32", "fp16", "bf16"),
    )
    snapshot_kimg: float | None = option(
        None, "Distance between snapshots, thousands of images; left out = a fifth of the training.", low=0, above=True
    )
    keep_best: int | None = option(
        None,
        "Number of snapshots that stay, those whose thumbnails are nearest to the tiles'; left out = all.",
        low=1,
    )
    stop_on_collapse: bool = option(
        True, "End early, with the snapshots so far, when recall collapses or ADA stays at its limit."
    )
    resume_from: str | None = option(
        None,
        "Network to start from: a snapshot (.safetensors) or an official .pkl; left out = new networks.",
        reads_outside=True,
    )
    compile: bool = option(False, "Use torch.compile, if its gradients agree with the plain ones.")
    threads: int | None = option(
        None, "CPU threads of a process; left out = PyTorch's choice.", low=1, affects_result=False
    )
    train_job: dict[str, str] = option(
        {},
        "Train on several nodes by a TrainJob of Kubeflow Trainer: nodes, gpus, gpu_type, runtime, cpu, memory, hours; "
        "empty = in this pod.",
        affects_result=False,
    )
    dry_run: bool = option(False, "Print the resolved configuration, the parameters and the memory, and write nothing.")
