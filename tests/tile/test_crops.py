import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tile_folder import write_image

from components.core.archive import decode
from components.tile.crops import Crop, cut, open_rgb, positions


def test_a_field_of_tharun_and_thompson_gives_eight_tiles():
    assert positions(1916, 512) == [0, 512, 1024, 1404]
    assert positions(1053, 512) == [0, 541]


@given(st.integers(16, 128), st.integers(0, 2000))
def test_tiles_reach_both_edges_and_leave_less_than_half_a_tile_out(tile, more):
    size = tile + more
    edges = positions(size, tile)
    assert edges == sorted(set(edges))
    assert edges[-1] + tile == size
    assert edges[0] == 0 or len(edges) == 1
    uncovered = size - len({pixel for edge in edges for pixel in range(edge, edge + tile)})
    assert uncovered <= tile / 2


def test_tiles_are_the_pixels_of_the_image(tmp_path):
    pixels = write_image(tmp_path / "a.png", width=45, height=24)
    made = cut(str(tmp_path / "a.png"), Crop(tile_px=16, resolution=16))
    assert [(x, y) for x, y, _ in made.pngs] == [(0, 0), (16, 0), (29, 0), (0, 8), (16, 8), (29, 8)]
    for x, y, png in made.pngs:
        assert np.array_equal(decode(png), pixels[y : y + 16, x : x + 16])


def test_resampling_changes_size_before_cutting(tmp_path):
    write_image(tmp_path / "a.png", width=40, height=40)
    made = cut(str(tmp_path / "a.png"), Crop(tile_px=16, resolution=8, scale=2.0))
    assert len(made.pngs) == 25
    assert decode(made.pngs[0][2]).shape == (8, 8, 3)
    assert made.scale == 2.0 * 8 / 16


def test_resizing_is_pillows_lanczos(tmp_path):
    pixels = write_image(tmp_path / "a.png", width=16, height=16)
    made = cut(str(tmp_path / "a.png"), Crop(tile_px=16, resolution=8))
    expected = Image.fromarray(pixels).resize((8, 8), Image.Resampling.LANCZOS)
    assert np.array_equal(decode(made.pngs[0][2]), np.array(expected))


def test_small_image_is_enlarged_to_the_side_of_a_tile(tmp_path):
    write_image(tmp_path / "a.png", width=20, height=8)
    made = cut(str(tmp_path / "a.png"), Crop(tile_px=16, resolution=16, small="resize"))
    assert [(x, y) for x, y, _ in made.pngs] == [(0, 0), (16, 0), (24, 0)]
    assert made.scale == 2.0
    assert made.small == "20x8 px is smaller than a tile of 16 px"


def test_small_image_is_padded_by_reflection(tmp_path):
    pixels = write_image(tmp_path / "a.png", width=16, height=10)
    [(_, _, png)] = cut(str(tmp_path / "a.png"), Crop(tile_px=16, resolution=16, small="pad")).pngs
    tile = decode(png)
    assert np.array_equal(tile[:10], pixels)
    assert np.array_equal(tile[10:], pixels[8:2:-1])


@pytest.mark.parametrize("policy", ["skip", "refuse"])
def test_small_image_gives_no_tile_otherwise(tmp_path, policy):
    write_image(tmp_path / "a.png", width=16, height=10)
    made = cut(str(tmp_path / "a.png"), Crop(tile_px=16, resolution=16, small=policy))
    assert not made.pngs
    assert "16x10" in made.small


def test_image_stands_upright_by_its_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    pixels = write_image(tmp_path / "a.png", width=40, height=24, exif=exif)
    assert np.array_equal(np.asarray(open_rgb(tmp_path / "a.png")), np.rot90(pixels, -1))


def test_tiff_reads_as_its_pixels(tmp_path):
    pixels = write_image(tmp_path / "a.tiff")
    assert np.array_equal(np.asarray(open_rgb(tmp_path / "a.tiff")), pixels)
