"""gan_train: a conditional StyleGAN2-ADA of the packed tiles."""

from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from components.core.data.archive import ImageArchive
from components.core.data.file_names import CLASSES, LINEAGE, RECORDS, TRAINING_CONFIG
from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import atomic_write, write_json, write_text
from components.core.options.parse import check_options
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import Lineage, extend_lineage
from components.core.records.gan_train import GanRecord, TickRow
from components.core.records.stage_record import StageRecord
from components.core.runtime.progress import log
from components.core.runtime.threads import cpu_threads
from components.core.stylegan2.transfer import Start, read_start
from components.core.telemetry.stage import instrumented
from components.gan_train.checkpoint import training_uri
from components.gan_train.dataset import Tiles, load_tiles
from components.gan_train.distributed import init_distributed
from components.gan_train.options import GROUP, GanOptions
from components.gan_train.outputs import Outputs, SnapshotUploader
from components.gan_train.page import describe_training, page_html
from components.gan_train.setup import TrainingSetup, build_training, training_config
from components.gan_train.trainer import GanTrainer
from components.gan_train.training_loop import train


@instrumented
def run(
    *,
    dataset: str,
    snapshots: str,
    gan_page: str,
    gan_record: str,
    seed: int = 0,
    options: GanOptions = GanOptions(),
    shared: SharedOptions = SharedOptions(),
) -> None:
    """Trains a class-conditional StyleGAN2-ADA on packed tiles, and saves snapshots of its averaged generator.

    With a checkpoint_uri, the same command resumes where an earlier one stopped or was killed. Started by
    `torchrun --nproc-per-node=N -m components.gan_train …`, N processes share each batch.

    Args:
        dataset: GanDataset (zip) of square RGB tiles whose side is a power of two, at least 8 px.
        snapshots: Folder to write: a safetensors file and a JSON per snapshot, grids, statistics and lineage.
        gan_page: HTML page to write, with grids over time and the curves of the training.
        gan_record: Record (JSON) to write.
        seed: Seed of everything random, at least 0.
        options: Options of the stage.
        shared: Options that several stages share; `device`, the checkpoints' and `trust_origin` are read.

    Raises:
        ConfigError: Options that contradict one another, or a checkpoint that was written with others.
        LeakageError: A network to start from whose patients are unknown, without trust_origin.
        DataError: Tiles on which a StyleGAN2 cannot be trained.
        StoreError: Checkpoints whose folder or bucket cannot be used.
        TrainingError: The training diverged, or SIGTERM stopped it.
    """
    options, shared = check_options(options, GROUP), check_options(shared, "shared")
    if seed < 0:
        raise ConfigError(f"seed is {seed}: give a whole number, at least 0.")
    with (
        ImageArchive(dataset) as archive,
        cpu_threads(options.threads or 0),
        init_distributed(shared.device) as (group, device),
    ):
        tiles = load_tiles(archive)
        config = training_config(options, seed, tiles, group, device)
        if len(tiles.labels) < config.batch:
            raise DataError(
                f"{dataset} holds {len(tiles.labels)} tiles, fewer than one batch of {config.batch}: "
                "give more tiles or a smaller batch."
            )
        if options.dry_run:
            if group.is_rank0:
                start_name = options.resume_from or "new networks"
                log(describe_training(config, tiles, group, str(device), start_name, shared.checkpoint_uri or "none"))
            return
        start = read_start(options.resume_from) if options.resume_from else None
        attachments = {name: archive.attachment(name) for name in (LINEAGE, CLASSES)}
        lineage = attachments[LINEAGE]
        identity = {key: str(lineage[key]) for key in ("fold", "scheme")} if lineage else {}
        if start:
            attachments[LINEAGE] = _extend_lineage(lineage, start, shared.trust_origin)
        name = f"fold {identity['fold']} · {identity['scheme']}" if identity else Path(dataset).stem
        checkpoint_uri = shared.checkpoint_uri and training_uri(
            shared.checkpoint_uri, identity.get("scheme", ""), identity.get("fold", ""), tiles.digest
        )
        train_here = partial(
            train, name=name, checkpoint_minutes=shared.checkpoint_minutes, use_compile=options.compile
        )
        with build_training(options, seed, tiles, group, device, start=start, checkpoint_uri=checkpoint_uri) as setup:
            if not group.is_rank0:
                train_here(setup)
                return
            upstream = archive.attachment(RECORDS)
            with StageRecord(gan_record, "gan_train", upstream=upstream, **identity) as record:
                with atomic_write(snapshots) as folder:
                    folder.mkdir()
                    write_json(folder / TRAINING_CONFIG, asdict(setup.trainer.config))
                    for file, value in attachments.items():
                        if value is not None:
                            write_json(folder / file, value)
                    outputs = _build_outputs(setup, folder, options)
                    with closing(outputs):
                        reason = train_here(setup, outputs)
                    results = _results(setup.trainer, tiles, outputs.rows, reason, start)
                    record.set(results)
                    write_json(folder / RECORDS, record.chain())
                classes = [str(entry["name"]) for entry in tiles.classes]
                title = f"GAN training · {name}"
                write_text(gan_page, page_html(title, results, classes, outputs.reals, outputs.fakes))


def _extend_lineage(lineage: dict[str, Any] | None, start: Start, trust_origin: str) -> dict[str, Any] | None:
    previous = Lineage.from_dict(lineage) if lineage else None
    extended = extend_lineage(previous, start.lineage, str(start.path), trust_origin)
    return extended.to_dict() if extended else None


def _build_outputs(setup: TrainingSetup, folder: Path, options: GanOptions) -> Outputs:
    return Outputs(
        folder,
        setup.trainer,
        setup.tiles,
        keep_best=options.keep_best,
        stop_on_collapse=options.stop_on_collapse,
        uploader=SnapshotUploader(f"{setup.store.uri}/outputs") if setup.store else None,
    )


def _results(trainer: GanTrainer, tiles: Tiles, rows: list[TickRow], reason: str, start: Start | None) -> GanRecord:
    config, device = trainer.config, trainer.device
    return GanRecord(
        kimg=trainer.images_seen / 1000,
        tiles=len(tiles.labels),
        classes=tiles.c_dim,
        resolution=tiles.resolution,
        batch=config.batch,
        gamma=config.gamma,
        learning_rate=config.learning_rate,
        ema_kimg=config.ema_kimg,
        seed=config.seed,
        augment=config.augment,
        augment_p=trainer.ada.p,
        precision=config.precision,
        symmetry=config.symmetry,
        parameters_g=sum(parameter.numel() for parameter in trainer.G.parameters()),
        parameters_d=sum(parameter.numel() for parameter in trainer.D.parameters()),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        processes=trainer.group.size,
        sec_per_kimg=_training_seconds(rows) / rows[-1].kimg,
        stopped=reason,
        resume_from=start.path.name if start else "",
        ticks=rows,
    )


def _training_seconds(rows: list[TickRow]) -> float:
    """Time in iterations, without snapshots and grids, seconds."""
    starts = [0.0, *(row.kimg for row in rows)]
    return sum(row.sec_per_kimg * (row.kimg - start) for row, start in zip(rows, starts, strict=False))
