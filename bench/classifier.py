"""An epoch of a classifier's training against a plain torchvision loop, and against one that validates every batch.

    python bench/classifier.py FIELDS          a folder of images to cut the tiles from

The plain loop is what torchvision's own training reference does: a folder of PNG files, one tile decoded and
transformed at a time (v2 transforms: flips, random resized crop, colour jitter, equalise, blur, noise), the network in
its default memory layout, one validation at the end of the epoch. Ours also adapts half of the tiles in the Fourier
domain, which torchvision has not. Both use the same network, tiles, batch and Adam. Seconds are CPU time of this
process, all its threads; loops take turns, and the table has medians.
"""

import copy
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cyclopts
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.io import decode_image
from torchvision.transforms import v2

from components.classifier_cv.checkpoints import TrainingCheckpoints
from components.classifier_cv.data import ArmTiles, LabelledTiles, TrainingTiles
from components.classifier_cv.options import ClassifierOptions
from components.classifier_cv.train import train_epochs
from components.core.features.backbones import Backbone, build_backbone

CLASSES = 2


class Files(Dataset[tuple[torch.Tensor, int]]):
    """PNG files, each decoded on access."""

    def __init__(self, paths: Sequence[Path], transform: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._paths, self._transform = paths, transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(decode_image(str(self._paths[index]))), index % CLASSES


class PlainLoop:
    """torchvision's reference loop, an epoch at a time."""

    def __init__(self, network: Backbone, training: Sequence[Path], validation: Sequence[Path], px: int, batch: int):
        mean, std = ([value / 255 for value in values] for values in (network.mean, network.std))
        scaled = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
        changed = v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomVerticalFlip(),
                v2.RandomResizedCrop(px, scale=(0.56, 1.0), ratio=(1.0, 1.0), antialias=True),
                v2.ColorJitter(brightness=0.1, contrast=0.2),
                v2.RandomEqualize(0.25),
                v2.RandomApply([v2.GaussianBlur(5, 1.0)], 0.5),
                v2.ToDtype(torch.float32, scale=True),
                v2.RandomApply([v2.GaussianNoise(sigma=0.03)], 0.5),
                v2.Normalize(mean, std),
            ]
        )
        self._training = DataLoader(Files(training, changed), batch, shuffle=True)
        self._validation = DataLoader(
            Files(validation, v2.Compose([v2.Resize((px, px), antialias=True), *scaled])), batch
        )
        self._module = copy.deepcopy(network.module)
        self._adam = torch.optim.Adam(self._module.parameters(), 1e-4, weight_decay=1e-6)

    def epoch(self, validate_every_batch: bool = False) -> None:
        """Trains on every tile once."""
        self._module.train()
        for images, labels in self._training:
            self._adam.zero_grad()
            F.cross_entropy(self._module(images), labels).backward()
            self._adam.step()
            if validate_every_batch:
                self._validate()
        if not validate_every_batch:
            self._validate()

    @torch.inference_mode()
    def _validate(self) -> float:
        self._module.eval()
        return sum(float(F.cross_entropy(self._module(images), labels)) for images, labels in self._validation)


def our_loop(network: Backbone, training: Sequence[Path], validation: Sequence[Path], px: int, batch: int):
    """The stage's own loop: one epoch per call, tiles decoded once before."""
    images, held = (torch.stack([decode_image(str(path)) for path in paths]) for paths in (training, validation))
    labels, truth = (torch.arange(len(tiles)) % CLASSES for tiles in (images, held))
    data = ArmTiles(TrainingTiles(labels, len(images), images), LabelledTiles(held, truth), held[:0], None, 0)
    backbone = Backbone(**{**vars(network), "module": copy.deepcopy(network.module)})
    options = ClassifierOptions(input_px=px, epochs=1, patience=1, batch=batch, learning_rate=1e-4, weight_decay=1e-6)
    return lambda: train_epochs(backbone, data, options, 0, "epoch", False, TrainingCheckpoints(), None)


def cpu_seconds(function: Callable[[], object]) -> float:
    """CPU time of a call, all threads of this process, seconds."""
    start = time.process_time()
    function()
    return time.process_time() - start


def cut(fields: Path, folder: Path, count: int, tile_px: int) -> list[Path]:
    """Cuts tiles at random and writes them as PNG files."""
    folder.mkdir()
    images = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(fields.rglob("*.jp*g"))[:12]]
    rng, paths = np.random.default_rng(0), []
    for index in range(count):
        image = images[index % len(images)]
        top, left = (int(rng.integers(0, size - tile_px + 1)) for size in image.shape[:2])
        paths.append(folder / f"{index:05d}.png")
        Image.fromarray(image[top : top + tile_px, left : left + tile_px]).save(paths[-1], compress_level=1)
    return paths


def main(
    fields: Path,
    *,
    networks: tuple[str, ...] = ("efficientnet_lite0", "resnet50", "resnet101"),
    tile_px: int = 224,
    input_px: int = 224,
    training: int = 64,
    validation: int = 16,
    batch: int = 16,
    rounds: int = 3,
) -> None:
    """Prints the table.

    Args:
        fields: Folder of JPEG files.
        networks: Networks to train.
        tile_px: Side of the tiles, pixels.
        input_px: Side of the network's input, pixels.
        training: Number of training tiles.
        validation: Number of validation tiles.
        batch: Tiles per step.
        rounds: Number of rounds of every loop.
    """
    with tempfile.TemporaryDirectory() as scratch:
        paths = cut(fields, Path(scratch) / "tiles", training + validation, tile_px)
        print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, {training} + {validation} tiles of "
              f"{tile_px} px seen at {input_px} px, batch {batch}, median of {rounds} rounds\n")  # fmt: skip
        print("| network | ours, CPU s | plain, CPU s | plain / ours | validating every batch, CPU s | that / ours |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name in networks:
            network = build_backbone(name, num_classes=CLASSES, pretrained=False)
            parts = paths[:training], paths[training:], input_px, batch
            plain = PlainLoop(network, *parts)
            loops = {
                "ours": our_loop(network, *parts),
                "plain": plain.epoch,
                "every batch": lambda plain=plain: plain.epoch(validate_every_batch=True),
            }
            for loop in loops.values():
                loop()  # the first one also allocates
            seconds: dict[str, list[float]] = {name: [] for name in loops}
            for _ in range(rounds):
                for what, loop in loops.items():
                    seconds[what].append(cpu_seconds(loop))
            ours, theirs, often = (statistics.median(times) for times in seconds.values())
            numbers = f"{ours:.1f} | {theirs:.1f} | **{theirs / ours:.2f}** | {often:.1f} | {often / ours:.2f}"
            print(f"| {name} | {numbers} |", flush=True)


if __name__ == "__main__":
    cyclopts.run(main)
