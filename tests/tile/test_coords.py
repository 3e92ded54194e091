import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tile_folder import write_image

from components.core.data.images import decode
from components.tile.coords import Crop, cut_field, tile_positions
from components.tile.images import open_rgb


def test_a_field_of_tharun_and_thompson_gives_eight_tiles():
    assert tile_positions(1916, 512) == [0, 512, 1024, 1404]
    assert tile_positions(1053, 512) == [0, 541]


@given(st.integers(16, 128), st.integers(0, 2000))
def test_tiles_reach_both_edges_and_leave_less_than_half_a_tile_out(tile, more):
    size = tile + more
    edges = tile_positions(size, tile)
    assert edges == sorted(set(edges))
    assert edges[-1] + tile == size
    assert edges[0] == 0 or len(edges) == 1
    uncovered = size - len({pixel for edge in edges for pixel in range(edge, edge + tile)})
    assert uncovered <= tile / 2


def picture(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def corners(made):
    return [(tile.x, tile.y) for tile in made.tiles]


def test_tiles_are_the_pixels_of_the_image():
    image = picture(45, 24)
    made = cut_field(image, Crop(tile_px=16, resolution=16))
    assert corners(made) == [(0, 0), (16, 0), (29, 0), (0, 8), (16, 8), (29, 8)]
    for x, y, png in made.tiles:
        assert np.array_equal(decode(png), np.asarray(image)[y : y + 16, x : x + 16])


def test_resampling_changes_size_before_cutting():
    made = cut_field(picture(40, 40), Crop(tile_px=16, resolution=8, source_mpp=0.5, mpp=0.25))
    assert len(made.tiles) == 25
    assert decode(made.tiles[0].png).shape == (8, 8, 3)
    assert made.mpp == 0.25 * 16 / 8


def test_resizing_is_pillows_lanczos():
    image = picture(16, 16)
    made = cut_field(image, Crop(tile_px=16, resolution=8))
    assert np.array_equal(decode(made.tiles[0].png), np.array(image.resize((8, 8), Image.Resampling.LANCZOS)))


def test_small_image_is_enlarged_to_the_side_of_a_tile():
    made = cut_field(picture(20, 8), Crop(tile_px=16, resolution=16, source_mpp=0.5, mpp=0.5, small="resize"))
    assert corners(made) == [(0, 0), (16, 0), (24, 0)]
    assert made.mpp == 0.25
    assert made.small == "20x8 px is smaller than a tile of 16 px"


def test_small_image_is_padded_by_reflection():
    image = picture(16, 10)
    [tile] = cut_field(image, Crop(tile_px=16, resolution=16, small="pad")).tiles
    pixels = decode(tile.png)
    assert np.array_equal(pixels[:10], image)
    assert np.array_equal(pixels[10:], np.asarray(image)[8:2:-1])


@pytest.mark.parametrize("policy", ["skip", "refuse"])
def test_small_image_gives_no_tile_otherwise(policy):
    made = cut_field(picture(16, 10), Crop(tile_px=16, resolution=16, small=policy))
    assert not made.tiles
    assert "16x10" in made.small


def test_image_stands_upright_by_its_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    pixels = write_image(tmp_path / "a.png", width=40, height=24, exif=exif)
    assert np.array_equal(np.asarray(open_rgb(tmp_path / "a.png")), np.rot90(pixels, -1))


def test_tiff_reads_as_its_pixels(tmp_path):
    pixels = write_image(tmp_path / "a.tiff")
    assert np.array_equal(np.asarray(open_rgb(tmp_path / "a.tiff")), pixels)
