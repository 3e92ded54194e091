"""gan_train: a conditional StyleGAN2 of the packed tiles."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from components.core.archive import CLASSES, LINEAGE, ImageArchive, Pixels, encode_png
from components.core.device import pick_device
from components.core.errors import ConfigError, DataError
from components.core.files import write_json, write_text, written
from components.core.results import RECORDS, Record
from components.core.stylegan2.snapshot import save_snapshot
from components.gan_train.data import Tiles, load_tiles
from components.gan_train.grid import Grid
from components.gan_train.loop import Training
from components.gan_train.page import draw_page
from components.gan_train.settings import Settings, resolve
from components.gan_train.ticks import train

STATS = "stats.jsonl"


def run(
    *,
    dataset: str,
    snapshots: str,
    page: str,
    metrics: str,
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
    threads: int = 0,
) -> None:
    """Trains a class-conditional StyleGAN2 on packed tiles and keeps snapshots of its averaged generator.

    Args:
        dataset: GanDataset archive of square RGB tiles, their side a power of two from 8 px on.
        snapshots: Folder to write, with a safetensors file and a JSON per snapshot, grids, statistics and lineage.
        page: HTML page to write, with grids over time and the training's curves.
        metrics: JSON file to write, with the training's numbers.
        kimg: Length of the training in thousand real images shown, above 0.
        batch: Images per iteration, at least 2 and divisible by 4 from 4 on; 0 = 4096 / resolution, 32 at most.
        channel_base: Feature maps at resolution r are channel_base / r; 0 = 16384, or 32768 from 512 px on.
        channel_max: Feature maps at most, at least 1.
        mapping_layers: Layers of the generator's mapping network, at least 1.
        latent_dim: Length of the latents z and w, at least 1.
        gamma: Weight of the R1 penalty; 0 = 0.0002 resolution² / batch.
        learning_rate: Adam's, of both networks; 0 = 0.0025, or 0.002 from 1024 px on.
        ema_kimg: Half-life of the generator's moving average in kimg; 0 = batch · 10 / 32.
        mirror: Whether mirrored tiles are shown too.
        snapshot_kimg: Distance of snapshots in kimg; 0 = a fifth of the training.
        seed: Seed of everything random, at least 0.
        device: auto, cpu, cuda or cuda:N.
        threads: CPU threads; 0 = as many as PyTorch chooses.

    Raises:
        ConfigError: An option cannot be meant, or the device is not there.
        DataError: The tiles cannot be what a StyleGAN2 is trained on.
        TrainingError: The training diverged.
    """
    target = pick_device(device)
    with ImageArchive(dataset) as archive, _cpu_threads(threads):
        lineage = archive.attachment(LINEAGE)
        known = {key: lineage[key] for key in ("fold", "scheme")} if lineage else {}
        name = f"fold {known['fold']} · {known['scheme']}" if known else Path(dataset).stem
        with Record(metrics, "gan_train", upstream=archive.attachment(RECORDS), **known) as record:
            tiles = load_tiles(archive, mirror, seed)
            settings = resolve(
                tiles.resolution,
                target,
                kimg=kimg,
                batch=batch,
                channel_base=channel_base,
                channel_max=channel_max,
                mapping_layers=mapping_layers,
                latent_dim=latent_dim,
                gamma=gamma,
                learning_rate=learning_rate,
                ema_kimg=ema_kimg,
                snapshot_kimg=snapshot_kimg,
                seed=seed,
            )
            if len(tiles.labels) < settings.batch:
                raise DataError(
                    f"{dataset} holds {len(tiles.labels)} tiles, fewer than one batch of {settings.batch}: "
                    "give more tiles or a smaller batch."
                )
            training = Training(settings, tiles.c_dim, tiles.resolution, target)
            with written(snapshots) as folder:
                folder.mkdir()
                for attached in (LINEAGE, CLASSES):
                    if (value := archive.attachment(attached)) is not None:
                        write_json(folder / attached, value)
                reals, fakes, ticks = _train_into(folder, training, tiles, name)
                for key, value in _facts(training, tiles).items():
                    record[key] = value
                record["sec_per_kimg"] = _seconds(ticks) / ticks[-1]["kimg"]
                record.table("ticks", ticks)
                write_json(folder / RECORDS, record.chain())
            classes = [str(one["name"]) for one in tiles.classes]
            write_text(page, draw_page(f"GAN training · {name}", record.own(), classes, reals, fakes, ticks))


def _train_into(
    folder: Path, training: Training, tiles: Tiles, name: str
) -> tuple[Pixels, list[tuple[float, Pixels]], list[dict[str, Any]]]:
    """Trains, and writes snapshots, grids and statistics as they come; returns the grids and the statistics."""
    s, grid = training.settings, Grid(tiles.resolution, tiles.c_dim)
    reals = grid.reals(tiles)
    (folder / "reals.png").write_bytes(encode_png(reals))

    def keep(kimg: float, grid_name: str) -> tuple[float, Pixels]:
        save_snapshot(folder / f"network-snapshot-{_number(kimg, s)}.safetensors", training.G_ema, kimg)
        pixels = grid.fakes(training.G_ema, training.device, s.batch)
        (folder / f"{grid_name}.png").write_bytes(encode_png(pixels))
        return kimg, pixels

    fakes, ticks = [keep(0.0, "fakes_init")], []
    with (folder / STATS).open("w", encoding="utf-8") as stats:
        for tick, is_snapshot in train(training, tiles, f"{name}: training"):
            ticks.append(tick)
            stats.write(json.dumps(tick) + "\n")
            stats.flush()
            if is_snapshot:
                fakes.append(keep(tick["kimg"], f"fakes{_number(tick['kimg'], s)}"))
    return reals, fakes, ticks


def _number(kimg: float, settings: Settings) -> str:
    """kimg in a file name: six digits, with three decimals where snapshots do not fall on whole kimg."""
    if float(settings.kimg).is_integer() and float(settings.snapshot_kimg).is_integer():
        return f"{int(kimg):06d}"
    return f"{kimg:010.3f}"


def _facts(training: Training, tiles: Tiles) -> dict[str, str | float]:
    s = asdict(training.settings)
    return {
        **{key: s[key] for key in ("batch", "gamma", "learning_rate", "ema_kimg", "seed")},
        "kimg": training.images_seen / 1000,
        "tiles": len(tiles.labels),
        "classes": tiles.c_dim,
        "resolution": tiles.resolution,
        "parameters_g": sum(parameter.numel() for parameter in training.G.parameters()),
        "parameters_d": sum(parameter.numel() for parameter in training.D.parameters()),
        "device": torch.cuda.get_device_name(training.device) if training.device.type == "cuda" else "cpu",
    }


def _seconds(ticks: list[dict[str, Any]]) -> float:
    """Time in iterations, without snapshots and grids."""
    starts = [0.0, *(tick["kimg"] for tick in ticks)]
    return sum(tick["sec_per_kimg"] * (tick["kimg"] - start) for tick, start in zip(ticks, starts, strict=False))


@contextmanager
def _cpu_threads(threads: int) -> Iterator[None]:
    """PyTorch's threads inside the block; 0 leaves them."""
    if threads < 0:
        raise ConfigError(f"threads is {threads}: give a number of CPU threads, or 0.")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
