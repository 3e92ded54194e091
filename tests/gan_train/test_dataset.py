"""The endless order of tiles: every tile in every orientation, balanced or not, the same wherever one enters it."""

from collections import Counter

import numpy as np
import pytest
import torch

from components.core.data.archive import ImageArchive
from components.gan_train.dataset import ORIENTATIONS, InfiniteSampler, apply_orientation, load_tiles

CPU = torch.device("cpu")
LABELS = np.repeat([0, 1, 2], [1, 4, 9])


def positions(order, start, n):
    return list(zip(*(one.tolist() for one in order.at(range(start, start + n))), strict=True))


@pytest.mark.parametrize("symmetry", ORIENTATIONS)
def test_an_epoch_shows_everything_once(symmetry):
    order = InfiniteSampler(LABELS, 3, symmetry, False, seed=5)
    size = len(LABELS) * ORIENTATIONS[symmetry]
    epochs = [positions(order, start, size) for start in (0, size, 2 * size)]
    everything = {(tile, turn) for tile in range(len(LABELS)) for turn in range(ORIENTATIONS[symmetry])}
    assert all(set(epoch) == everything for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("balanced", [False, True])
def test_a_place_does_not_depend_on_the_way_to_it(balanced):
    walked, jumped = (InfiniteSampler(LABELS, 3, "d4", balanced, seed=5) for _ in range(2))
    way = positions(walked, 0, 500)
    assert positions(jumped, 437, 20) == way[437:457]
    assert positions(jumped, 3, 20) == way[3:23]
    assert positions(InfiniteSampler(LABELS, 3, "d4", balanced, seed=6), 0, 500) != way


def test_balanced_classes_are_shown_equally_often_and_all_their_tiles():
    order = InfiniteSampler(LABELS, 3, "mirror", True, seed=0)
    way = positions(order, 0, 3 * 18)  # a whole epoch of the largest class
    assert Counter(LABELS[tile].item() for tile, _ in way) == {0: 18, 1: 18, 2: 18}
    assert all(len({LABELS[tile] for tile, _ in way[start : start + 3]}) == 3 for start in range(0, len(way), 3))
    assert len({one for one in way if LABELS[one[0]] == 2}) == 18
    assert Counter(one for one in way if LABELS[one[0]] == 0) == {(0, 0): 9, (0, 1): 9}
    drawn = np.bincount(order.random_labels(np.random.default_rng(0), 3000))
    assert (np.abs(drawn - 1000) < 100).all()


def test_labels_are_drawn_as_often_as_they_are():
    drawn = np.bincount(
        InfiniteSampler(LABELS, 3, "none", False, seed=0).random_labels(np.random.default_rng(0), 14000)
    )
    assert (np.abs(drawn - np.array([1000, 4000, 9000])) < 250).all()


def test_without_classes_nothing_is_balanced():
    order = InfiniteSampler(np.zeros(6, dtype=np.int64), 0, "none", True, seed=0)
    assert sorted(positions(order, 0, 6)) == [(tile, 0) for tile in range(6)]


def test_orientations_are_the_eight_of_the_square():
    image = torch.arange(9.0).reshape(1, 1, 3, 3).expand(8, -1, -1, -1)
    found = apply_orientation(image, np.arange(8))
    square = image[0, 0].numpy()
    expected = [np.rot90(np.fliplr(square) if mirrored else square, turns) for turns in range(4) for mirrored in (0, 1)]
    np.testing.assert_array_equal(found[:, 0], np.stack(expected))
    assert len({tuple(one.flatten().tolist()) for one in found}) == 8


def test_tiles_arrive_as_they_are_stored(toy_archive):
    with ImageArchive(toy_archive) as archive:
        tiles = load_tiles(archive)
        expected = archive.read(archive.manifest["file"].iloc[5])
    images, c = tiles.reals(np.array([5, 4]), np.array([0, 1]), CPU)
    np.testing.assert_array_equal(((images[0] + 1) * 127.5).round().permute(1, 2, 0), expected)
    assert c.tolist() == [[0, 1], [1, 0]]


def test_digest_is_of_the_content(make_archive):
    def digest(**options):
        with ImageArchive(make_archive(**options)) as archive:
            return load_tiles(archive).digest

    first = digest()
    assert digest() == first
    assert len({first, digest(tiles=63), digest(classes=("red", "other")), digest(labels=(1, 0))}) == 4
