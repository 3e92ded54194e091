"""A training for the eye: grids of images, the HTML page, and the description that a dry run prints."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from components.core.data.images import Pixels
from components.core.html.lines import line_chart
from components.core.html.pictures import data_uri
from components.core.html.render import render_page
from components.core.records.gan_train import GanRecord
from components.core.stylegan2 import Generator
from components.core.stylegan2.sampling import latents, one_hot
from components.gan_train.config import TrainingConfig
from components.gan_train.dataset import Tiles
from components.gan_train.distributed import ProcessGroup
from components.gan_train.memory import MemoryEstimate

_WIDTH_PX, _MIN_COLUMNS, _MAX_COLUMNS, _MIN_ROWS = 512, 8, 16, 4  # of a grid
_PAGE_GRIDS, _PAGE_GRID_PX = 7, 1024  # largest number and width of grids on the page; the full ones are in the folder
_CHARTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("Losses", {"loss_g": "generator", "loss_d": "discriminator"}),
    ("Discriminator's scores", {"score_real": "real", "score_fake": "generated"}),
    ("R1 penalty", {"r1_penalty": "R1"}),
    ("Path length", {"path_length": "length"}),
    ("Augmentation", {"augment_p": "p", "sign_real": "r_t"}),
    ("Recall of thumbnails", {"recall": "recall"}),
)


class SampleGrid:
    """A grid of images with one class per row, which shows the same latents at every snapshot.

    Attributes:
        columns: Number of images per row.
        classes: Class of each image, row by row.
    """

    def __init__(self, resolution: int, c_dim: int) -> None:
        self.columns = min(max(_WIDTH_PX // resolution, _MIN_COLUMNS), _MAX_COLUMNS)
        class_count = max(c_dim, 1)
        rows_per_class = -(-_MIN_ROWS // class_count)
        self.classes = np.repeat(np.arange(class_count), rows_per_class * self.columns)

    @torch.no_grad()
    def fakes(self, G_ema: Generator, device: torch.device, batch: int) -> Pixels:
        """Images of the averaged generator for the grid's latents, with the stored noise."""
        z = torch.from_numpy(latents(range(len(self.classes)), G_ema.z_dim)).float()
        c = one_hot(self.classes.tolist(), G_ema.c_dim)
        parts = [
            G_ema(z[start : start + batch].to(device), c[start : start + batch].to(device), noise_mode="const").cpu()
            for start in range(0, len(z), batch)
        ]
        return self._mosaic(torch.cat(parts))

    def reals(self, tiles: Tiles) -> Pixels:
        """Training tiles of each row's class; a class with few tiles repeats them."""
        rng = np.random.default_rng(0)
        indices = np.empty(len(self.classes), dtype=np.int64)
        for number in np.unique(self.classes):
            cells = self.classes == number
            indices[cells] = np.resize(rng.permutation(np.flatnonzero(tiles.labels == number)), cells.sum())
        return self._mosaic(tiles.images[torch.from_numpy(indices)].float() / 127.5 - 1)

    def _mosaic(self, images: Tensor) -> Pixels:
        pixels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)  # [rows · columns, 3, R, R]
        _, channels, side, _ = pixels.shape
        rows = pixels.view(-1, self.columns, channels, side, side).permute(0, 3, 1, 4, 2)
        return rows.reshape(-1, self.columns * side, channels).contiguous().numpy()


def page_html(
    title: str, record: GanRecord, classes: Sequence[str], reals: Pixels, fakes: Sequence[tuple[float, Pixels]]
) -> str:
    """The page of a training.

    Args:
        title: Title of the page.
        record: Record of the stage.
        classes: Names of the classes in the order of the grids' rows; empty = unconditional.
        reals: Grid of training tiles.
        fakes: Position in kimg and grid of each snapshot.
    """
    last, count = len(fakes) - 1, min(_PAGE_GRIDS, len(fakes))
    newest_first = sorted({round(index) for index in np.linspace(0, last, count)}, reverse=True)
    grids = [(reals, "training tiles")]
    grids += [(fakes[index][1], f"generated after {fakes[index][0]:g} kimg") for index in newest_first]
    charts = [
        line_chart(
            name,
            {label: [(row.kimg, getattr(row, key)) for row in record.ticks] for key, label in keys.items()},
            "kimg",
        )
        for name, keys in _CHARTS
    ]
    return render_page(
        __package__,
        "page.html.j2",
        title=title,
        stopped=record.stopped,
        classes=classes,
        facts=_facts(record),
        charts=charts,
        grids=[_figure(grid, caption) for grid, caption in grids],
    )


def describe_training(
    config: TrainingConfig, tiles: Tiles, group: ProcessGroup, device: str, start: str, checkpoints: str
) -> str:
    """The resolved configuration, the number of parameters and the estimated memory, as lines.

    Args:
        config: Configuration of the training.
        tiles: Training tiles.
        group: Processes of the training.
        device: Name of the device.
        start: Networks that the training starts from.
        checkpoints: Folder or address of the checkpoints.
    """
    data_bytes = tiles.images.nbytes if device.startswith("cuda") else 0
    estimate = MemoryEstimate(config, tiles.c_dim, tiles.resolution, data_bytes)
    rounds = config.batch // (config.batch_gpu * group.size)
    facts = {
        "tiles": f"{len(tiles.labels)} of {tiles.resolution} px",
        "classes": ", ".join(str(entry["name"]) for entry in tiles.classes) or "none: unconditional",
        "device": f"{device}, {group.size} process(es), {rounds} micro-batch(es) each",
        "generator": f"{estimate.parameters[0]:,} parameters",
        "discriminator": f"{estimate.parameters[1]:,} parameters",
        "memory": f"about {estimate.gb(config.batch_gpu):.2g} GiB per process, beside that of the libraries",
        "starts from": start,
        "checkpoints": checkpoints,
    }
    values = {**facts, **asdict(config)}
    width = max(len(name) for name in values)
    return "\n".join(f"{name:{width}}  {value}" for name, value in values.items())


def _facts(record: GanRecord) -> list[tuple[str, str]]:
    return [
        ("Training", f"{record.kimg:g} kimg"),
        ("Tiles", str(record.tiles)),
        ("Resolution", f"{record.resolution} px"),
        ("Batch", str(record.batch)),
        ("R1 gamma", f"{record.gamma:.4g}"),
        ("Augmentation", record.augment),
        ("Precision", record.precision),
        ("Learning rate", f"{record.learning_rate:g}"),
        ("Parameters of the generator", f"{record.parameters_g:,}"),
        ("Parameters of the discriminator", f"{record.parameters_d:,}"),
        ("Device", record.device),
        ("Time", f"{record.sec_per_kimg:.3g} s per kimg"),
        ("Seed", str(record.seed)),
    ]


def _figure(grid: Pixels, caption: str) -> dict[str, str]:
    image = Image.fromarray(grid)
    is_small = image.width <= _PAGE_GRID_PX
    if not is_small:
        height = round(image.height * _PAGE_GRID_PX / image.width)
        image = image.resize((_PAGE_GRID_PX, height), Image.Resampling.LANCZOS)
    return {"source": data_uri(np.array(image)), "caption": caption, "image_class": "small" if is_small else ""}
