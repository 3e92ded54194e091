"""gan_train: a conditional StyleGAN2-ADA of the packed tiles."""

from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from components.core.data.archive import CLASSES, LINEAGE, ImageArchive
from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import atomic_write, write_json, write_text
from components.core.protocol.lineage import Lineage, extend_lineage
from components.core.records.stage_record import RECORDS, StageRecord
from components.core.runtime.progress import log
from components.core.runtime.threads import cpu_threads
from components.core.stylegan2.transfer import read_start
from components.core.telemetry.stage import instrumented
from components.gan_train.checkpoint import checkpoint_key
from components.gan_train.checkpoint_scheduler import CheckpointScheduler
from components.gan_train.config import GanOptions
from components.gan_train.dataset import Tiles, load_tiles
from components.gan_train.describe import describe
from components.gan_train.distributed import init_distributed
from components.gan_train.metrics import PrometheusLogger
from components.gan_train.outputs import Outputs
from components.gan_train.page import draw_page
from components.gan_train.progress_bar import ProgressBar
from components.gan_train.setup import TrainingSetup, build_training, settings_of
from components.gan_train.snapshot_uploader import SnapshotUploader
from components.gan_train.trainer import GanTrainer
from components.gan_train.training_loop import Row, TickStats

SETTINGS = "settings.json"  # resolved: what a preset meant may change, or depend on the GPUs there were


@instrumented
def run(
    *,
    dataset: str,
    snapshots: str,
    page: str,
    metrics: str,
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
    threads: int = 0,
    dry_run: bool = False,
) -> None:
    """Trains a class-conditional StyleGAN2-ADA on packed tiles and keeps snapshots of its averaged generator.

    Where checkpoint_uri is given, the same command goes on where an earlier one ended or was killed. Started by
    `torchrun --nproc-per-node=N -m components.gan_train …`, N processes share each batch.

    Args:
        dataset: GanDataset archive of square RGB tiles, their side a power of two from 8 px on.
        snapshots: Folder to write, with a safetensors file and a JSON per snapshot, grids, statistics and lineage.
        page: HTML page to write, with grids over time and the training's curves.
        metrics: JSON file to write, with the training's numbers.
        preset: Where what is left open comes from: auto, stylegan2, paper256, paper512, paper1024, cifar, published.
        kimg: Length of the training in thousand real images shown; 0 = the preset's. It alone may grow later.
        batch: Images per iteration over all processes, at least 2; 0 = the preset's.
        batch_gpu: Images that a process computes at once; less takes less memory, and changes nothing but rounding.
            0 = as memory_gb allows, or the preset's.
        memory_gb: GiB that a process may take; batch_gpu is the largest that stays within. 0 = no such limit.
        channel_base: Feature maps at resolution r are channel_base / r; 0 = the preset's.
        channel_max: Feature maps at most, at least 1.
        mapping_layers: Layers of the generator's mapping network; 0 = the preset's.
        d_mapping_layers: Layers of the discriminator's; fewer may help where few classes collapse into one image.
        latent_dim: Length of the latents z and w, at least 1.
        gamma: Weight of the R1 penalty; 0 = the preset's, in auto 0.0002 resolution² / batch.
        pl_weight: Weight of path-length regularisation; 0 = off, -1 = the preset's.
        style_mixing: Probability of mixing two latents, 0 to 1; -1 = the preset's.
        learning_rate: Adam's, of both networks; 0 = the preset's.
        ema_kimg: Half-life of the generator's moving average in kimg; 0 = the preset's.
        mirror: Whether mirrored tiles are shown too.
        symmetry: none, mirror, or d4 = all eight orientations; empty = as mirror says.
        balanced: Whether classes are shown equally often, rather than as often as they are in the tiles.
        augment: ada = as much augmentation as keeps the discriminator from learning by heart; fixed; noaug.
        augment_p: Probability of augmentations to start from, 0 to 1.
        augment_pipe: Which augmentations: blit, geom, color, filter, noise, cutout, bg, bgc, bgcf, bgcfn, bgcfnc, or
            stain (bg and what colours tissue may have).
        ada_target: Share of real tiles that are scored as real, less those that are not, which ADA holds.
        ada_kimg: In which ADA can raise p from 0 to 1; 0 = 500, or 100 with resume_from.
        freeze_d: How many first layers of the discriminator are not trained; with resume_from.
        precision: fp32, or fp16 or bf16 for the highest resolutions; auto = fp16 on a GPU, fp32 on a CPU.
        snapshot_kimg: Distance of snapshots in kimg; 0 = a fifth of the training.
        keep_best: How many snapshots are kept, those whose thumbnails are nearest to the tiles'; 0 = all.
        stop_on_collapse: Whether to end, with what there is, when recall collapses or ADA stays at its limit.
        resume_from: Snapshot or official .pkl to begin with; empty = anew.
        trust_origin: A statement of where resume_from comes from, if its patients cannot be proven.
        checkpoint_uri: Folder or s3://bucket/prefix for the whole state; empty = a killed training is lost.
        checkpoint_minutes: Between checkpoints, at least 0.
        compile: Whether to use torch.compile, if its gradients prove to be right.
        seed: Seed of everything random, at least 0.
        device: auto, cpu, cuda or cuda:N.
        threads: CPU threads; 0 = as many as PyTorch chooses.
        dry_run: Whether to say only what would be trained, how many parameters and how much memory; writes nothing.

    Raises:
        ConfigError: An option cannot be meant, or a checkpoint was written with other options.
        LeakageError: The network of resume_from may have seen anyone, and no origin is stated.
        DataError: The tiles cannot be what a StyleGAN2 is trained on.
        StoreError: The checkpoints' place cannot be used.
        TrainingError: The training diverged, or was told to end.
    """
    asked = GanOptions.among(locals())
    if not checkpoint_minutes >= 0:
        raise ConfigError(f"checkpoint_minutes is {checkpoint_minutes}: it must be at least 0.")
    with ImageArchive(dataset) as archive, cpu_threads(threads), init_distributed(device) as (team, target):
        tiles = load_tiles(archive)
        attached = {name: archive.attachment(name) for name in (LINEAGE, CLASSES)}
        lineage = attached[LINEAGE]
        known = {key: str(lineage[key]) for key in ("fold", "scheme")} if lineage else {}
        settings = settings_of(asked, tiles, team, target, None)
        if len(tiles.labels) < settings.batch:
            raise DataError(
                f"{dataset} holds {len(tiles.labels)} tiles, fewer than one batch of {settings.batch}: "
                "give more tiles or a smaller batch."
            )
        if dry_run:
            if team.is_leader:
                log(describe(settings, tiles, team, str(target), resume_from, checkpoint_uri))
            return
        start = read_start(resume_from) if resume_from else None
        if start:
            own = Lineage.from_dict(lineage) if lineage else None
            grown = extend_lineage(own, start.lineage, resume_from, trust_origin)
            attached[LINEAGE] = grown.to_dict() if grown else None
        key = checkpoint_key(known.get("scheme", ""), known.get("fold", ""), tiles.digest)
        name = f"fold {known['fold']} · {known['scheme']}" if known else Path(dataset).stem
        place = (checkpoint_uri, key)
        with build_training(asked, tiles, team, target, start=start, place=place, compiles=compile) as session:
            if not team.is_leader:
                _train(session, None, checkpoint_minutes, name)
                return
            with StageRecord(metrics, "gan_train", upstream=archive.attachment(RECORDS), **known) as record:
                with atomic_write(snapshots) as folder:
                    folder.mkdir()
                    write_json(folder / SETTINGS, asdict(session.training.settings))
                    for file, value in attached.items():
                        if value is not None:
                            write_json(folder / file, value)
                    outputs = _outputs(session, folder, asked)
                    with closing(outputs):
                        _train(session, outputs, checkpoint_minutes, name)
                    for fact, value in _facts(session.training, tiles).items():
                        record[fact] = value
                    record["sec_per_kimg"] = _seconds(outputs.rows) / outputs.rows[-1]["kimg"]
                    record["stopped"] = outputs.why_stop()
                    record["resume_from"] = start.path.name if start else ""
                    record.table("ticks", outputs.rows)
                    write_json(folder / RECORDS, record.chain())
                classes = [str(one["name"]) for one in tiles.classes]
                title = f"GAN training · {name}"
                write_text(page, draw_page(title, record.own(), classes, outputs.reals, outputs.fakes, outputs.rows))


def _outputs(session: TrainingSetup, folder: Path, asked: GanOptions) -> Outputs:
    """The folder as it stood, or as it begins."""
    copies = SnapshotUploader(f"{session.checkpoints.uri}/outputs") if session.checkpoints else None
    outputs = Outputs(
        folder,
        session.training,
        session.tiles,
        keep_best=asked.keep_best,
        stops=asked.stop_on_collapse,
        copies=copies,
    )
    if session.saved:
        log(f"The training goes on at {session.training.images_seen / 1000:g} kimg.")
        outputs.load_state_dict(session.saved["outputs"])
    else:
        outputs.begin()
    return outputs


def _train(session: TrainingSetup, outputs: Outputs | None, checkpoint_minutes: float, name: str) -> None:
    """Trains to the end, or until it should stop; the leader, which has the outputs, writes as it goes."""
    training, walk, team = session.training, session.walk, session.training.team

    def state() -> dict[str, Any]:
        whole = {"settings": asdict(training.settings), "training": training.state_dict(), "walk": walk.state_dict()}
        return {**whole, "outputs": outputs.state_dict()} if outputs else whole

    def after(tick: TickStats | None) -> str:
        assert outputs is not None
        if tick:
            outputs.tick(tick)
        if session.checkpoints:
            session.checkpoints.check()
        return outputs.why_stop()

    saver = None
    if session.is_kept:
        saver = CheckpointScheduler(team, session.checkpoints, checkpoint_minutes, state, training.images_seen)
    progress = (
        ProgressBar(f"{name}: training", training.settings.kimg, training.images_seen / 1000) if outputs else None
    )
    dials = PrometheusLogger(training, session.checkpoints)
    with saver.listening() if saver else nullcontext():
        why = team.lead(lambda: after(None))
        for tick in () if why else walk.iterations():
            if tick:
                why = team.lead(partial(after, tick))
            if progress:
                progress.show(training.images_seen / 1000, tick.row if tick else None)
                dials.show(training.images_seen / 1000, outputs.rows[-1] if outputs and tick else None)
            if why:
                break
            if saver:
                saver.after_iteration(training.images_seen)
        if saver:
            saver.save(training.images_seen)
    if progress:
        progress.close()
    if outputs and why:
        log(f"{name}: the training stopped at {training.images_seen / 1000:g} kimg. {why}")


def _facts(training: GanTrainer, tiles: Tiles) -> dict[str, str | float]:
    s = asdict(training.settings)
    shown = ("batch", "gamma", "learning_rate", "ema_kimg", "seed", "augment", "precision", "symmetry")
    return {
        **{key: s[key] for key in shown},
        "kimg": training.images_seen / 1000,
        "tiles": len(tiles.labels),
        "classes": tiles.c_dim,
        "resolution": tiles.resolution,
        "parameters_g": sum(parameter.numel() for parameter in training.G.parameters()),
        "parameters_d": sum(parameter.numel() for parameter in training.D.parameters()),
        "augment_p": training.ada.p,
        "device": torch.cuda.get_device_name(training.device) if training.device.type == "cuda" else "cpu",
        "processes": training.team.size,
    }


def _seconds(rows: Sequence[Row]) -> float:
    """Time in iterations, without snapshots and grids."""
    starts = [0.0, *(row["kimg"] for row in rows)]
    return sum(row["sec_per_kimg"] * (row["kimg"] - start) for row, start in zip(rows, starts, strict=False))
