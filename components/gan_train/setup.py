"""A training as it starts or resumes, in each of its processes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from components.core.checkpoint.checkpoint_store import CheckpointStore
from components.core.checkpoint.fingerprint import runtime_fingerprint
from components.core.errors import DataError
from components.core.runtime.progress import log
from components.core.stylegan2 import Discriminator, Generator
from components.core.stylegan2.presets import PRESETS
from components.core.stylegan2.transfer import Start, State, transfer
from components.gan_train.checkpoint import CHECKPOINT
from components.gan_train.config import TrainingConfig, for_resume, resolve, resume_identity, upgrade_identity
from components.gan_train.dataset import Tiles
from components.gan_train.distributed import ProcessGroup
from components.gan_train.memory import MemoryEstimate
from components.gan_train.options import GanOptions
from components.gan_train.trainer import GanTrainer


@dataclass(frozen=True)
class TrainingSetup:
    """Everything that a training needs to run.

    Attributes:
        trainer: State of the training; that of a checkpoint is not loaded yet.
        tiles: Training tiles, on the device.
        has_checkpoints: True where the state is saved.
        store: Checkpoints of the training, in rank 0; None elsewhere, and without checkpoints.
        saved: State from which the training resumes; None = it starts.
    """

    trainer: GanTrainer
    tiles: Tiles
    has_checkpoints: bool = False
    store: CheckpointStore | None = None
    saved: dict[str, Any] | None = None


def training_config(
    options: GanOptions,
    seed: int,
    tiles: Tiles,
    group: ProcessGroup,
    device: torch.device,
    saved: TrainingConfig | None = None,
) -> TrainingConfig:
    """The configuration that the options resolve to; that of a checkpoint where a training resumes.

    Raises:
        ConfigError: Options that contradict one another.
        DataError: A preset for classes, and tiles without classes.
    """
    preset = PRESETS.get(options.preset)
    if preset and preset.conditional and not tiles.classes:
        raise DataError(
            f"The preset {options.preset!r} trains with classes and the tiles have none: pack them with labels, or use "
            "another preset."
        )
    config = resolve(options, seed, tiles.resolution, device, group.size)
    if saved:
        config = for_resume(saved, options, group.size)
    if not options.memory_gb or options.batch_gpu:
        return config
    data_bytes = tiles.images.nbytes if device.type == "cuda" else 0
    return MemoryEstimate(config, tiles.c_dim, tiles.resolution, data_bytes).fit(config, options.memory_gb, group.size)


def init_from_pretrained(trainer: GanTrainer, start: Start) -> None:
    """Copies the weights of other networks into a new training; logs which tensors fitted."""
    networks: list[tuple[str, Generator | Discriminator, State | None]] = [
        ("generator", trainer.G, start.G),
        ("moving average", trainer.G_ema, start.G_ema),
        ("discriminator", trainer.D, start.D),
    ]
    for name, network, state in networks:
        result = transfer(state, network) if state else "the file has none, so a new one is trained"
        if trainer.group.is_rank0:
            log(f"{start.path.name}: {name}: {result}")


@contextmanager
def build_training(
    options: GanOptions,
    seed: int,
    tiles: Tiles,
    group: ProcessGroup,
    device: torch.device,
    *,
    start: Start | None,
    checkpoint_uri: str,
) -> Iterator[TrainingSetup]:
    """Builds the networks and opens the checkpoints, until the end of the block.

    Args:
        options: Options of the training.
        seed: Seed of everything random.
        tiles: Training tiles; they are moved to the device.
        group: Processes of the training.
        device: Device of this process.
        start: Networks to start from; None = new ones.
        checkpoint_uri: Folder or prefix of the training's checkpoints; '' = none.

    Raises:
        ConfigError: Options that contradict one another, or a checkpoint that was written with others.
        StoreError: The checkpoints' folder or bucket cannot be used, or another run holds its lease.
    """
    config = training_config(options, seed, tiles, group, device)  # before anything is locked or written
    with ExitStack() as stack:
        store: CheckpointStore | None = None

        def latest_state() -> dict[str, Any] | None:
            nonlocal store
            opened = CheckpointStore(
                checkpoint_uri,
                CHECKPOINT,
                config=resume_identity(options, seed),
                fingerprint=runtime_fingerprint(device, group.size),
                upgrade=upgrade_identity,
            )
            store = stack.enter_context(opened)
            checkpoint = store.latest()
            return checkpoint.state if checkpoint else None

        saved = group.run_on_rank0(latest_state) if checkpoint_uri else None
        if saved:
            config = training_config(options, seed, tiles, group, device, TrainingConfig(**saved["settings"]))
        tiles.to(device)
        trainer = GanTrainer(config, tiles.c_dim, tiles.resolution, device, group)
        if start and not saved:
            init_from_pretrained(trainer, start)
        yield TrainingSetup(trainer, tiles, bool(checkpoint_uri), store, saved)
