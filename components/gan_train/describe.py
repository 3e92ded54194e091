"""What a training would be, in words and numbers, before it is started."""

from dataclasses import asdict

from components.gan_train.config import TrainingConfig
from components.gan_train.dataset import Tiles
from components.gan_train.distributed import ProcessGroup
from components.gan_train.memory import Estimate


def describe(
    settings: TrainingConfig, tiles: Tiles, team: ProcessGroup, device: str, start: str, checkpoints: str
) -> str:
    """The resolved configuration, parameters and estimated memory, as lines.

    Args:
        settings: The training's.
        tiles: What it would be trained on.
        team: Its processes.
        device: Where they compute.
        start: Network that it would begin with; '' = a new one.
        checkpoints: Where it would be saved; '' = nowhere.
    """
    data_bytes = tiles.images.nbytes if device.startswith("cuda") else 0
    estimate = Estimate(settings, tiles.c_dim, tiles.resolution, data_bytes)
    rounds = settings.batch // (settings.batch_gpu * team.size)
    facts = {
        "tiles": f"{len(tiles.labels)} of {tiles.resolution} px",
        "classes": ", ".join(str(one["name"]) for one in tiles.classes) or "none: unconditional",
        "device": f"{device}, {team.size} process(es), {rounds} micro-batch(es) each",
        "generator": f"{estimate.parameters[0]:,} parameters",
        "discriminator": f"{estimate.parameters[1]:,} parameters",
        "memory": f"about {estimate.gb(settings.batch_gpu):.2g} GiB a process, beside the libraries' own",
        "begins with": start or "new networks",
        "checkpoints": checkpoints or "none",
    }
    width = max(len(name) for name in (*facts, *asdict(settings)))
    lines = {**facts, **asdict(settings)}.items()
    return "\n".join(f"{name:{width}}  {value}" for name, value in lines)
