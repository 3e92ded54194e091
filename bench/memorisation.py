"""Plants altered copies of training tiles and looks which the near-copy gate catches, and which real tiles it drops.

    python bench/memorisation.py FIELDS TILES

FIELDS and TILES are folders with `images/` and `meta.csv` (file, patient): whole fields, which are cut into covering
tiles, and finished tiles. Of every round a part of the patients (of the tiles, where patients are unknown) is what the
generator has seen, a part sets the gate's thresholds and a third part, which nothing has seen, must be kept.
"""

import csv
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from components.core.data.archive import ArchiveWriter, ImageArchive, Pixels
from components.core.features.extract import Features, features_of, to_batches
from components.core.features.extractors import Extractor, load_extractor
from components.generate.image_similarity import thumbnails
from components.generate.memorisation import Training, make_gate, orientations, unit

TILE_PX, INPUT_PX, BATCH, ROUNDS, MOST_TILES = 256, 128, 32, 7, 420


def jpeg(image: Pixels) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=75)
    return np.array(Image.open(buffer))


def shifted(image: Pixels) -> Pixels:
    """8 px right and down; beyond the border stands the mirror image."""
    return np.pad(image, ((8, 0), (8, 0), (0, 0)), mode="reflect")[:-8, :-8]


def tinted(image: Pixels) -> Pixels:
    return (image * np.array([1.05, 0.95, 1.05])).clip(0, 255).astype(np.uint8)


ALTERED: dict[str, Callable[[Pixels], Pixels]] = {
    "exact": lambda image: image,
    "JPEG q75": jpeg,
    "8 px shift": shifted,
    "5 % colour": tinted,
}


@dataclass(frozen=True)
class Looked:
    """Tiles, what the gate sees of them, and of altered copies of them."""

    name: str
    tiles: list[Pixels]
    patients: list[str]
    features: Features  # [n, 8, d]
    pictures: torch.Tensor  # [n, 1, 32, 32]
    copies: dict[str, list[Pixels]]
    copies_features: dict[str, Features]

    def training(self, places: np.ndarray) -> Training:
        flat = self.features[places].reshape(-1, self.features.shape[2])
        return Training(flat, self.pictures[places], [str(place) for place in places])


def look(name: str, tiles: list[Pixels], patients: list[str], network: Extractor) -> Looked:
    turned = (one for tile in tiles for one in orientations(tile))
    features = unit(features_of(network, turned, BATCH, f"{name}: tiles", 8 * len(tiles)))
    pictures = torch.cat([thumbnails(stack) for stack in to_batches(tiles, BATCH)])
    copies = {
        what: [alter(list(orientations(tile))[place % 8]) for place, tile in enumerate(tiles)]
        for what, alter in ALTERED.items()
    }
    seen = {what: features_of(network, made, BATCH, f"{name}: {what}", len(made)) for what, made in copies.items()}
    return Looked(name, tiles, patients, features.reshape(len(tiles), 8, -1), pictures, copies, seen)


def rounds(looked: Looked) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Places of seen, threshold and fresh tiles: 4, 2 and 1 of 7 parts, each part fresh once."""
    names = sorted(set(looked.patients))
    known = len(names) >= ROUNDS
    of_tile = np.array([names.index(one) for one in looked.patients]) if known else np.arange(len(looked.tiles))
    part = of_tile % ROUNDS if known else np.random.default_rng(0).permutation(of_tile) % ROUNDS
    for turn in range(ROUNDS):
        turned = (part - turn) % ROUNDS
        yield np.flatnonzero(turned >= 3), np.flatnonzero((turned == 1) | (turned == 2)), np.flatnonzero(turned == 0)


def measure(looked: Looked, network: Extractor, folder: Path) -> None:
    caught: dict[str, list[bool]] = {what: [] for what in ALTERED}
    dropped: list[bool] = []
    for seen, threshold, fresh in rounds(looked):
        with ArchiveWriter(folder / "held.zip", compress_level=0) as archive:
            for place in threshold:
                archive.add(looked.tiles[place], {"label": 0})
        with ImageArchive(folder / "held.zip") as held_out:
            gate = make_gate(network, looked.training(seen), held_out, looked.features[threshold, 0], BATCH)
        for what, copies in looked.copies.items():
            chosen = seen[:100]
            images = next(to_batches([copies[place] for place in chosen], len(chosen)))
            caught[what] += gate.is_copy(gate.training.nearest(images, looked.copies_features[what][chosen])).tolist()
        images = next(to_batches([looked.tiles[place] for place in fresh], len(fresh)))
        dropped += gate.is_copy(gate.training.nearest(images, looked.features[fresh, 0])).tolist()
    row = [f"{100 * np.mean(one):.1f} % of {len(one)}" for one in caught.values()]
    row.append(f"{100 * np.mean(dropped):.2f} % of {len(dropped)}")
    print(f"| {looked.name} | {' | '.join(row)} |", flush=True)


def read(folder: Path) -> tuple[list[Pixels], list[str]]:
    """Tiles of 256 px and their patients: covering crops of 512 px of larger images, or the images."""
    with (folder / "meta.csv").open() as file:
        rows = list(csv.DictReader(file))
    tiles, patients = [], []
    for row in rows[:: max(1, len(rows) // MOST_TILES)]:
        image = Image.open(folder / "images" / row["file"]).convert("RGB")
        crops = [image]
        if min(image.size) > 512:
            across, down = (
                np.linspace(0, side - 512, -(-side // 512)).round().astype(int).tolist() for side in image.size
            )
            crops = [image.crop((x, y, x + 512, y + 512)) for y in down for x in across]
        tiles += [np.array(one.resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)) for one in crops]
        patients += [row["patient"]] * len(crops)
    return tiles[:MOST_TILES], patients[:MOST_TILES]


def main() -> None:
    import tempfile

    network = load_extractor("efficientnet_lite0", input_px=INPUT_PX)
    print(f"| tiles | {' | '.join(ALTERED)} | fresh real tiles dropped |")
    print(f"| --- |{' ---: |' * (len(ALTERED) + 1)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for path in map(Path, sys.argv[1:]):
            tiles, patients = read(path)
            measure(look(path.name, tiles, patients, network), network, Path(folder))


if __name__ == "__main__":
    main()
