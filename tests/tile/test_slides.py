import numpy as np
import pytest
from PIL import Image
from pyramid import tissue, write_slide

from components.core.errors import ConfigError
from components.tile.coords import Crop
from components.tile.images import UnusableImageError
from components.tile.sampling import SlideSampling, plan_slide, read_small_slide, read_tiles
from components.tile.slide_formats.openslide_formats import OpenSlideReader, is_slide
from components.tile.slide_reader import Magnification
from components.tile.slides import Slide

pytest.importorskip("openslide", reason="skipped: no openslide")


def open_slide(path):
    return Slide(OpenSlideReader(path))


def noise(width, height):
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def pyramid(tmp_path):
    """A slide of noise with its levels; noise shows a shift of one pixel."""
    levels = write_slide(tmp_path / "a.tif", noise(600, 400), levels=3, mpp=0.25)
    slide = open_slide(tmp_path / "a.tif")
    yield slide, levels
    slide.close()


def test_full_resolution_is_the_pixels(pyramid):
    slide, (full, *_) = pyramid
    assert np.array_equal(slide.region(37, 121, (96, 80), (96, 80)), full[121:201, 37:133])


@pytest.mark.parametrize("level", [1, 2])
def test_halved_um_per_px_is_the_pyramids_level(pyramid, level):
    slide, levels = pyramid
    side = 64 << level
    found = slide.region(32 << level, 8 << level, (side, side), (64, 64))
    assert np.array_equal(found, levels[level][8:72, 32:96])


def test_between_levels_it_is_lanczos_from_the_finer_one(pyramid):
    slide, (full, *_) = pyramid
    found = slide.region(30, 60, (120, 120), (80, 80))
    expected = Image.fromarray(full[60:180, 30:150]).resize((80, 80), Image.Resampling.LANCZOS)
    assert np.array_equal(found, expected)


def test_overview_is_the_mean_of_blocks(tmp_path):
    pixels = noise(5000, 70)  # wider than the blocks that it is read in
    write_slide(tmp_path / "a.tif", pixels, mpp=0.25)
    overview = np.asarray(open_slide(tmp_path / "a.tif").overview(500), float)
    assert overview.shape == (7, 500, 3)
    assert np.abs(overview - pixels.reshape(7, 10, 500, 10, 3).mean((1, 3))).max() <= 1


def test_magnification_is_read_or_unknown(tmp_path):
    write_slide(tmp_path / "a.tif", noise(64, 64), mpp=0.25)
    write_slide(tmp_path / "b.tif", noise(64, 64))
    write_slide(tmp_path / "screen.tif", noise(64, 64), mpp=10000 / 28)  # 72 dots per inch
    assert open_slide(tmp_path / "a.tif").magnification() == Magnification(0.25, "metadata")
    assert open_slide(tmp_path / "b.tif").magnification() == Magnification(None, "")
    assert open_slide(tmp_path / "screen.tif").magnification() == Magnification(None, "")


def described(path, text):
    """A slide in Aperio's form: its description says so."""
    write_slide(path, noise(128, 128), description=f"Aperio Image Library v1\r\n128x128 {text}")
    return open_slide(path)


def test_objectives_power_stands_in_for_um_per_px(tmp_path):
    assert described(tmp_path / "a.svs", "|AppMag = 20").magnification() == Magnification(0.5, "objective 20x")
    assert described(tmp_path / "b.svs", "|AppMag = 20|MPP = 0.46").magnification() == (0.46, "metadata")
    assert described(tmp_path / "c.svs", "|Date = 1").magnification().mpp is None


def test_tiffs_are_slides_when_they_have_a_pyramid(tmp_path):
    write_slide(tmp_path / "pyramid.tif", noise(128, 128), levels=2)
    write_slide(tmp_path / "field.tif", noise(128, 128))
    Image.fromarray(noise(64, 64)).save(tmp_path / "plain.tiff")
    assert [is_slide(tmp_path / name) for name in ("pyramid.tif", "field.tif", "plain.tiff", "a.svs", "a.png")] == [
        True,
        False,
        False,
        True,
        False,
    ]


@pytest.fixture
def slide(tmp_path):
    """Tissue in a box of 256 x 192 px at 0.5 um/px, on grid lines of 64 px."""
    write_slide(tmp_path / "s.tif", tissue(1024, 768, [(128, 128, 640, 512)]), levels=3, mpp=0.25)
    one = open_slide(tmp_path / "s.tif")
    yield one
    one.close()


AT_HALF = Crop(tile_px=64, resolution=64, mpp=0.5, metadata=True)


def taken(slide, sampling, name="s"):
    plan = plan_slide(slide, AT_HALF, sampling, name)
    return [(tile.x, tile.y) for tile in read_tiles(plan, AT_HALF, sampling)]


def test_all_tissue_is_found_and_nothing_else(slide):
    expected = {(x, y) for x in range(64, 320, 64) for y in range(64, 256, 64)}
    assert set(taken(slide, SlideSampling(tiles=0))) == expected


def test_draw_is_seeded_and_its_shorter_form_is_its_beginning(slide):
    five = taken(slide, SlideSampling(tiles=5))
    assert len(set(five)) == 5
    assert five == taken(slide, SlideSampling(tiles=5)) == taken(slide, SlideSampling(tiles=9))[:5]
    assert five != taken(slide, SlideSampling(tiles=5, seed=1))
    assert five != taken(slide, SlideSampling(tiles=5), "another slide")


def test_um_per_px_is_asked_for(tmp_path, slide):
    with pytest.raises(ConfigError, match="by --study-mpp"):
        plan_slide(slide, Crop(64, 64), SlideSampling(), "s")
    with pytest.raises(
        UnusableImageError, match=r"has 0.25 um/px \(metadata\) where --mpp states 0.5 \(write SITE=metadata"
    ):
        plan_slide(slide, Crop(64, 64, source_mpp=0.5, mpp=0.5), SlideSampling(), "s")
    write_slide(tmp_path / "silent.tif", tissue(256, 256, [(0, 0, 256, 256)]))
    silent = open_slide(tmp_path / "silent.tif")
    with pytest.raises(
        UnusableImageError, match=r"states neither its um/px nor its objective's power .*--mpp SITE=0.25"
    ):
        plan_slide(silent, AT_HALF, SlideSampling(), "s")
    plan = plan_slide(silent, Crop(64, 64, source_mpp=0.25, mpp=0.5), SlideSampling(), "s")
    assert plan.magnification == (0.25, "--mpp") and plan.scale == 0.5


@pytest.mark.parametrize(("side", "small"), [(127, True), (128, False), (129, False)])
def test_slide_is_smaller_than_a_tile_or_has_one(tmp_path, side, small):
    write_slide(tmp_path / "s.tif", tissue(side, 300, [(0, 0, side, 300)]), mpp=0.25)
    slide = open_slide(tmp_path / "s.tif")
    assert (read_small_slide(slide, AT_HALF) is not None) == small
    if not small:
        assert len(plan_slide(slide, AT_HALF, SlideSampling(), "s").squares) == 2


def test_slide_without_tissue_is_odd(tmp_path):
    write_slide(tmp_path / "glass.tif", tissue(256, 256, []), mpp=0.5)
    with pytest.raises(UnusableImageError, match="no tile with 50 % tissue"):
        plan_slide(open_slide(tmp_path / "glass.tif"), AT_HALF, SlideSampling(), "s")


def test_torn_slide_is_odd(tmp_path):
    write_slide(tmp_path / "s.tif", noise(512, 512), mpp=0.5)
    whole = (tmp_path / "s.tif").read_bytes()
    (tmp_path / "s.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnusableImageError, match="cannot be read as a slide"):
        open_slide(tmp_path / "s.tif")
