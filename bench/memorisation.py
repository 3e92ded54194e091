"""Share of planted altered copies that the near-copy gate catches, and of new real tiles that it drops.

    python bench/memorisation.py FIELDS TILES

FIELDS and TILES are folders with `images/` and `meta.csv` (file, patient): whole fields, which are cut into covering
tiles, and finished tiles. In every round a part of the patients (of the tiles, where patients are unknown) is the
training set, a part fits the gate's thresholds, and a third, new part must be kept.
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

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.images import Pixels
from components.core.features.extract import Features, features_of, to_batches, unit_features
from components.core.features.extractors import Extractor, load_extractor
from components.generate.image_similarity import thumbnails
from components.generate.memorisation import TrainingIndex, fit_near_copy_gate, orientations

TILE_PX, INPUT_PX, BATCH, ROUNDS, MOST_TILES = 256, 128, 32, 7, 420


def jpeg(image: Pixels) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=75)
    return np.array(Image.open(buffer))


def shift(image: Pixels) -> Pixels:
    """8 px right and down; the border is continued by the mirror image."""
    return np.pad(image, ((8, 0), (8, 0), (0, 0)), mode="reflect")[:-8, :-8]


def tint(image: Pixels) -> Pixels:
    return (image * np.array([1.05, 0.95, 1.05])).clip(0, 255).astype(np.uint8)


ALTERED: dict[str, Callable[[Pixels], Pixels]] = {
    "exact": lambda image: image,
    "JPEG q75": jpeg,
    "8 px shift": shift,
    "5 % colour": tint,
}


@dataclass(frozen=True)
class TileSet:
    """Tiles and altered copies of them, with their features and thumbnails."""

    name: str
    tiles: list[Pixels]
    patients: list[str]
    features: Features  # [n, 8, d]
    thumbnails: torch.Tensor  # [n, 1, 32, 32]
    copies: dict[str, list[Pixels]]
    copies_features: dict[str, Features]

    def index(self, places: np.ndarray) -> TrainingIndex:
        flat = self.features[places].reshape(-1, self.features.shape[2])
        return TrainingIndex(flat, self.thumbnails[places], [str(place) for place in places])


def make_tile_set(name: str, tiles: list[Pixels], patients: list[str], network: Extractor) -> TileSet:
    oriented = (view for tile in tiles for view in orientations(tile))
    features = unit_features(features_of(network, oriented, BATCH, f"{name}: tiles", 8 * len(tiles)))
    stacks = torch.cat([thumbnails(stack) for stack in to_batches(tiles, BATCH)])
    copies = {
        what: [alter(list(orientations(tile))[place % 8]) for place, tile in enumerate(tiles)]
        for what, alter in ALTERED.items()
    }
    copies_features = {
        what: features_of(network, altered, BATCH, f"{name}: {what}", len(altered)) for what, altered in copies.items()
    }
    return TileSet(name, tiles, patients, features.reshape(len(tiles), 8, -1), stacks, copies, copies_features)


def rounds(tile_set: TileSet) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Places of training, threshold and new tiles: 4, 2 and 1 of 7 parts, each part new once."""
    names = sorted(set(tile_set.patients))
    has_patients = len(names) >= ROUNDS
    of_tile = (
        np.array([names.index(one) for one in tile_set.patients]) if has_patients else np.arange(len(tile_set.tiles))
    )
    part = of_tile % ROUNDS if has_patients else np.random.default_rng(0).permutation(of_tile) % ROUNDS
    for turn in range(ROUNDS):
        shifted_part = (part - turn) % ROUNDS
        yield (
            np.flatnonzero(shifted_part >= 3),
            np.flatnonzero((shifted_part == 1) | (shifted_part == 2)),
            np.flatnonzero(shifted_part == 0),
        )


def measure(tile_set: TileSet, network: Extractor, folder: Path) -> None:
    caught: dict[str, list[bool]] = {what: [] for what in ALTERED}
    dropped: list[bool] = []
    for train, threshold, new in rounds(tile_set):
        with ArchiveWriter(folder / "held.zip", compress_level=0) as archive:
            for place in threshold:
                archive.add(tile_set.tiles[place], {"label": 0})
        with ImageArchive(folder / "held.zip") as held_out:
            gate = fit_near_copy_gate(network, tile_set.index(train), held_out, tile_set.features[threshold, 0], BATCH)
        for what, copies in tile_set.copies.items():
            chosen = train[:100]
            images = next(to_batches([copies[place] for place in chosen], len(chosen)))
            caught[what] += gate.is_copy(gate.index.search(images, tile_set.copies_features[what][chosen])).tolist()
        images = next(to_batches([tile_set.tiles[place] for place in new], len(new)))
        dropped += gate.is_copy(gate.index.search(images, tile_set.features[new, 0])).tolist()
    row = [f"{100 * np.mean(one):.1f} % of {len(one)}" for one in caught.values()]
    row.append(f"{100 * np.mean(dropped):.2f} % of {len(dropped)}")
    print(f"| {tile_set.name} | {' | '.join(row)} |", flush=True)


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
    print(f"| tiles | {' | '.join(ALTERED)} | new real tiles dropped |")
    print(f"| --- |{' ---: |' * (len(ALTERED) + 1)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for path in map(Path, sys.argv[1:]):
            tiles, patients = read(path)
            measure(make_tile_set(path.name, tiles, patients, network), network, Path(folder))


if __name__ == "__main__":
    main()
