"""Copies that were planted are found, real tiles of other patients are not."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))  # what an altered copy is
from memorisation import jpeg, shift, tint

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.images import Pixels
from components.core.errors import DataError
from components.core.features.extract import features_of, to_batches
from components.core.features.extractors import Extractor
from components.generate.image_similarity import image_distances, thumbnails
from components.generate.memorisation import (
    NearCopyGate,
    NearestTiles,
    build_training_index,
    fit_near_copy_gate,
    near_copy_threshold,
    orientations,
)

TORINO = Path(__file__).parents[3] / "shared" / "data" / "torino" / "images"


def gate_of(folder: Path, extractor: Extractor) -> NearCopyGate:
    with ImageArchive(folder / "train.zip") as train, ImageArchive(folder / "held.zip") as held_out:
        features = features_of(extractor, held_out.images(), 16, "test")
        return fit_near_copy_gate(extractor, build_training_index(extractor, train, 16), held_out, features, 16)


def search(gate: NearCopyGate, extractor: Extractor, images: list[Pixels]) -> NearestTiles:
    return gate.index.search(next(to_batches(images, len(images))), features_of(extractor, images, 16, "test"))


@pytest.fixture(scope="module")
def gate(world, extractor) -> NearCopyGate:
    return gate_of(world.folder, extractor)


def test_orientations_are_the_eight_of_the_square() -> None:
    square = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    corners = {tuple(one[:, :, 0].ravel().tolist()) for one in orientations(square)}
    a, b, c, d = 0, 3, 6, 9
    assert corners == {
        (a, b, c, d), (b, d, a, c), (d, c, b, a), (c, a, d, b), (b, a, d, c), (a, c, b, d), (c, d, a, b), (d, b, c, a),
    }  # fmt: skip


def test_copies_are_caught_in_every_orientation_and_point_at_their_original(
    gate: NearCopyGate, world, extractor
) -> None:
    images = [*world.train[0], *world.train[1]]
    copies = [list(orientations(image))[place % 8] for place, image in enumerate(images)]
    nearest = search(gate, extractor, copies)
    assert gate.is_copy(nearest).all()
    assert nearest.by_features.tolist() == list(range(len(images)))
    names = [gate.original_file(nearest, row) for row in range(len(images))]
    assert names == [f"00000/img{place:08d}.png" for place in range(len(images))]


def test_held_out_tiles_are_not_dropped(gate: NearCopyGate, world, extractor) -> None:
    nearest = search(gate, extractor, [*world.held_out[0], *world.held_out[1]])
    assert nearest.feature_ratio.min() > gate.ratio - 1e-4  # the nearest of them sets it
    assert nearest.image_distance.min() > gate.distance


def test_nearest_agrees_with_a_search_by_hand(gate: NearCopyGate, world, extractor) -> None:
    images = world.held_out[0][:3]
    features = features_of(extractor, images, 3, "test")
    nearest = search(gate, extractor, images)
    for row, feature in enumerate(features.astype(float) / np.linalg.norm(features, axis=1, keepdims=True)):
        distance = np.linalg.norm(gate.index.features - feature, axis=1).reshape(-1, 8).min(1)
        order = np.sort(distance)
        assert nearest.by_features[row] == distance.argmin()
        assert nearest.feature_ratio[row] == pytest.approx(order[0] / order[1:21].mean(), abs=1e-4)


@pytest.fixture(scope="module")
def tissue(tmp_path_factory, extractor) -> tuple[NearCopyGate, list[Pixels], list[Pixels]]:
    """Real H&E tiles: a gate on 48 with another 48 held out, the training tiles, and 48 that it has not seen."""
    if not TORINO.exists():
        pytest.skip("skipped: the shared torino tiles are absent")
    folder = tmp_path_factory.mktemp("tissue")
    tiles = [np.array(Image.open(path)) for path in sorted(TORINO.iterdir())[::6][:144]]
    for name, part in (("train.zip", tiles[::3]), ("held.zip", tiles[1::3])):
        with ArchiveWriter(folder / name) as archive:
            for tile in part:
                archive.add(tile, {"label": 0})
    return gate_of(folder, extractor), tiles[::3], tiles[2::3]


@pytest.mark.parametrize("alter", [lambda image: image, jpeg, shift, tint])
def test_altered_copies_of_tissue_are_caught(tissue, extractor, alter: Callable[[Pixels], Pixels]) -> None:
    gate, train, _ = tissue
    copies = [alter(list(orientations(image))[place % 8]) for place, image in enumerate(train)]
    assert gate.is_copy(search(gate, extractor, copies)).mean() >= 0.97


def test_tissue_that_the_gate_has_not_seen_is_kept(tissue, extractor) -> None:
    gate, _, others = tissue
    assert gate.is_copy(search(gate, extractor, others)).mean() <= 0.03


def test_image_distance_ignores_stain_shift_and_orientation_but_not_another_place() -> None:
    rng = np.random.default_rng(0)
    field = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize(
        (160, 160), Image.Resampling.BICUBIC
    )
    tile, other = np.array(field)[:96, :96], np.array(field)[64:, 64:]
    turned = np.ascontiguousarray(np.rot90(tint(shift(tile))))
    pictures = [thumbnails(torch.from_numpy(one).permute(2, 0, 1)[None]) for one in (tile, other)]
    one = thumbnails(torch.from_numpy(turned).permute(2, 0, 1)[None])[0]
    apart = image_distances(one, torch.cat(pictures))
    assert apart[0] < 0.05
    assert apart[1] > 0.3


def test_a_flat_tile_is_like_nothing() -> None:
    """Glass has no structure to recognise: it must not count as a copy of every other empty tile."""
    flat = thumbnails(torch.full((2, 3, 64, 64), 240, dtype=torch.uint8))
    assert image_distances(flat[0], flat).tolist() == [1.0, 1.0]


def test_the_threshold_is_below_the_order_and_the_tail() -> None:
    values = np.random.default_rng(0).normal(10, 1, 100_000)
    assert near_copy_threshold(values) == pytest.approx(10 - 4, abs=0.03)
    skewed = np.random.default_rng(0).exponential(1, 100_000)
    assert near_copy_threshold(-skewed) == pytest.approx(-np.log(200), abs=0.1)
    few = np.array([5.0, 5.1, 4.9, 5.0, 5.2, 4.8, 5.0, 5.1])
    assert near_copy_threshold(few) <= few.min()


def test_held_out_tiles_that_are_training_tiles_set_no_threshold(world, extractor, tmp_path) -> None:
    write = {"train.zip": [*world.train[0]], "held.zip": [*world.held_out[0], *world.train[0][:3]]}
    for name, images in write.items():
        with ArchiveWriter(tmp_path / name) as archive:
            for image in images:
                archive.add(image, {"label": 0})
    gate = gate_of(tmp_path, extractor)
    assert gate.duplicates == 3
    assert "3 held-out tiles are training tiles, too" in gate.rule
    assert gate.ratio > 0.3


def test_too_few_held_out_tiles(world, extractor, tmp_path) -> None:
    for name, images in {"train.zip": world.train[0], "held.zip": world.held_out[0][:1]}.items():
        with ArchiveWriter(tmp_path / name) as archive:
            for image in images:
                archive.add(image, {"label": 0})
    with pytest.raises(DataError, match=r"8 held-out tiles .* there are 30 and 1"):
        gate_of(tmp_path, extractor)
