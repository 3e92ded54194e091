"""A training as it is begun or taken up again, in each of its processes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from components.core.errors import DataError
from components.core.runtime.progress import log
from components.core.stylegan2 import Discriminator, Generator
from components.core.stylegan2.presets import PRESETS
from components.core.stylegan2.transfer import Start, State, transfer
from components.gan_train.checkpoint import Checkpoints
from components.gan_train.compile_losses import compile_losses
from components.gan_train.config import GanOptions, TrainingConfig, for_resume, resolve
from components.gan_train.dataset import Tiles
from components.gan_train.distributed import ProcessGroup
from components.gan_train.memory import Estimate
from components.gan_train.random_inputs import MicroBatch
from components.gan_train.trainer import GanTrainer
from components.gan_train.training_loop import TrainingLoop


@dataclass(frozen=True)
class TrainingSetup:
    """What is at hand while a training goes on.

    Attributes:
        tiles: What it is trained on.
        training: Its state.
        walk: Its way through the iterations.
        is_kept: Whether it has checkpoints.
        checkpoints: Them, in the leader.
        saved: The state that it goes on from; None = it begins.
    """

    tiles: Tiles
    training: GanTrainer
    walk: TrainingLoop
    is_kept: bool
    checkpoints: Checkpoints | None
    saved: dict[str, Any] | None


def settings_of(
    asked: GanOptions, tiles: Tiles, team: ProcessGroup, device: torch.device, saved: TrainingConfig | None
) -> TrainingConfig:
    """What is asked for, resolved; of a training that goes on, what it began with.

    Raises:
        ConfigError: It cannot be meant.
        DataError: The preset is for classes, and the tiles have none.
    """
    preset = PRESETS.get(asked.preset)
    if preset and preset.conditional and not tiles.classes:
        raise DataError(
            f"The preset {asked.preset!r} trains with classes and the tiles have none: pack them with labels, or take "
            "another preset."
        )
    settings = resolve(asked, tiles.resolution, device, team.size)
    if saved:
        settings = for_resume(saved, asked, team.size)
    if not asked.memory_gb or asked.batch_gpu:
        return settings
    data_bytes = tiles.images.nbytes if device.type == "cuda" else 0
    return Estimate(settings, tiles.c_dim, tiles.resolution, data_bytes).fit(settings, asked.memory_gb, team.size)


def init_from_pretrained(training: GanTrainer, start: Start) -> None:
    """Gives a training that has not begun the weights of other networks; says what became of them."""
    networks: list[tuple[str, Generator | Discriminator, State | None]] = [
        ("generator", training.G, start.G),
        ("moving average", training.G_ema, start.G_ema),
        ("discriminator", training.D, start.D),
    ]
    for name, network, state in networks:
        done = transfer(state, network) if state else "the file has none, so a new one is trained"
        if training.team.is_leader:
            log(f"{start.path.name}: {name}: {done}")


@contextmanager
def build_training(
    asked: GanOptions,
    tiles: Tiles,
    team: ProcessGroup,
    device: torch.device,
    *,
    start: Start | None,
    place: tuple[str, str],
    compiles: bool,
) -> Iterator[TrainingSetup]:
    """The training, where it stands.

    Args:
        asked: Its options.
        tiles: What it is trained on; they are moved to the device.
        team: Its processes.
        device: Where this one computes.
        start: Networks to begin with; None = new ones.
        place: Base of its checkpoints, '' = there are none, and their key below it.
        compiles: Whether to try torch.compile.

    Raises:
        ConfigError: An option cannot be meant, or a checkpoint was written with others.
        StoreError: The checkpoints' place cannot be used.
    """
    checkpoint_uri, key = place
    begun = settings_of(asked, tiles, team, device, None)  # before anything is locked or written
    with ExitStack() as stack:
        checkpoints: Checkpoints | None = None

        def latest() -> dict[str, Any] | None:
            nonlocal checkpoints
            opening = Checkpoints(checkpoint_uri, key, asked.identity(), device=device, world_size=team.size)
            checkpoints = stack.enter_context(opening)
            found = checkpoints.latest()
            return found.state if found else None

        saved = team.lead(latest) if checkpoint_uri else None
        if saved:
            begun = settings_of(asked, tiles, team, device, TrainingConfig(**saved["settings"]))
        tiles.to(device)
        training = GanTrainer(begun, tiles.c_dim, tiles.resolution, device, team)
        walk = TrainingLoop(training, tiles)
        if saved:
            training.load_state_dict(saved["training"])
            walk.load_state_dict(saved["walk"])
        elif start:
            init_from_pretrained(training, start)
        if compiles:
            part = MicroBatch(0, begun.batch // begun.batch_gpu)
            training.losses = compile_losses(training, walk.draw(), part)
        yield TrainingSetup(tiles, training, walk, bool(checkpoint_uri), checkpoints, saved)
