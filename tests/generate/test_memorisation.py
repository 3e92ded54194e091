"""Copies that were planted are found, real tiles of other patients are not."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.core.archive import ArchiveWriter, ImageArchive
from components.core.errors import DataError
from components.core.features import features_of
from components.generate.memorisation import Gate, make_gate, orientations

TORINO = Path(__file__).parents[3] / "shared" / "data" / "torino" / "images"


@pytest.fixture(scope="module")
def gate(world, extractor) -> Gate:
    with ImageArchive(world.folder / "train.zip") as train, ImageArchive(world.folder / "held.zip") as held_out:
        return make_gate(extractor, train, held_out, 16)


def ratios(gate: Gate, images: list[np.ndarray]) -> np.ndarray:
    return gate.nearest(features_of(gate.extractor, images, 16, "test")).ratio


def test_orientations_are_the_eight_of_the_square() -> None:
    square = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    corners = {tuple(one[:, :, 0].ravel().tolist()) for one in orientations(square)}
    a, b, c, d = 0, 3, 6, 9
    assert corners == {
        (a, b, c, d), (b, d, a, c), (d, c, b, a), (c, a, d, b), (b, a, d, c), (a, c, b, d), (c, d, a, b), (d, b, c, a),
    }  # fmt: skip


def test_copies_are_caught_in_every_orientation_and_point_at_their_original(gate: Gate, world) -> None:
    images = [*world.train[0], *world.train[1]]
    copies = [list(orientations(image))[place % 8] for place, image in enumerate(images)]
    found = gate.nearest(features_of(gate.extractor, copies, 16, "test"))
    assert (found.ratio < gate.threshold).all()
    assert found.place.tolist() == list(range(len(images)))
    assert found.distance.max() < 0.01


@pytest.fixture(scope="module")
def tissue(tmp_path_factory, extractor) -> tuple[Gate, list[np.ndarray]]:
    """Real H&E tiles: a gate on 48 with another 48 held out, and the training tiles."""
    if not TORINO.exists():
        pytest.skip("skipped: the shared torino tiles are absent")
    folder = tmp_path_factory.mktemp("tissue")
    tiles = [np.array(Image.open(path)) for path in sorted(TORINO.iterdir())[::10][:96]]
    for name, part in (("train.zip", tiles[::2]), ("held.zip", tiles[1::2])):
        with ArchiveWriter(folder / name) as archive:
            for tile in part:
                archive.add(tile, {"label": 0})
    with ImageArchive(folder / "train.zip") as train, ImageArchive(folder / "held.zip") as held_out:
        return make_gate(extractor, train, held_out, 16), tiles[::2]


def test_altered_copies_of_tissue_are_caught(tissue) -> None:
    gate, train = tissue
    for alter in (jpeg, tinted):
        copies = [alter(list(orientations(image))[place % 8]) for place, image in enumerate(train)]
        assert (ratios(gate, copies) < gate.threshold).mean() >= 0.95, alter


def jpeg(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=75)
    return np.array(Image.open(buffer))


def tinted(image: np.ndarray) -> np.ndarray:
    return (image * np.array([1.05, 0.95, 1.05])).clip(0, 255).astype(np.uint8)


def test_held_out_tiles_are_not_dropped(gate: Gate, world) -> None:
    assert not (ratios(gate, [*world.held_out[0], *world.held_out[1]]) < gate.threshold).any()


def test_nearest_agrees_with_a_search_by_hand(gate: Gate, world) -> None:
    features = features_of(gate.extractor, world.held_out[0][:3], 3, "test")
    found = gate.nearest(features)
    for row, feature in enumerate(features.astype(float) / np.linalg.norm(features, axis=1, keepdims=True)):
        distance = np.linalg.norm(gate.reference - feature, axis=1).reshape(-1, 8).min(1)
        order = np.sort(distance)
        assert found.place[row] == distance.argmin()
        assert found.ratio[row] == pytest.approx(order[0] / order[1:21].mean(), abs=1e-4)


def test_too_few_held_out_tiles(world, extractor, tmp_path) -> None:
    with ArchiveWriter(tmp_path / "few.zip") as archive:
        archive.add(world.held_out[0][0], {"label": 0})
    with (
        ImageArchive(world.folder / "train.zip") as train,
        ImageArchive(tmp_path / "few.zip") as few,
        pytest.raises(DataError, match="needs 2 training tiles and 8 held-out tiles, there are 52 and 1"),
    ):
        make_gate(extractor, train, few, 16)
