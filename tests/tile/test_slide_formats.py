"""A new format of whole slides is one new file."""

import numpy as np
import pytest
from PIL import Image
from tile_folder import tile, write_csv

from components.core.data.archive import ImageArchive
from components.tile import slide_formats
from components.tile.slide_reader import all_formats, slide_suffixes

FORMAT = '''
"""Slides of one level in an .npz: pixels [H, W, 3] and their um/px."""

import numpy as np
from PIL import Image

from components.tile.slide_reader import Magnification

SUFFIXES = frozenset({".npz"})


class Reader:
    def __init__(self, path):
        with np.load(path) as file:
            self._pixels, self._mpp = file["pixels"], float(file["mpp"])
        self.level_sizes, self.level_downsamples = (self._pixels.shape[1::-1],), (1.0,)
        self.fingerprint = str(path)

    def magnification(self):
        return Magnification(self._mpp, "metadata")

    def read(self, level, left, top, size_px):
        return Image.fromarray(self._pixels).crop((left, top, left + size_px[0], top + size_px[1]))

    def close(self):
        pass


def is_slide(path):
    return path.suffix.lower() in SUFFIXES


open_reader = Reader
'''


@pytest.fixture
def npz_format(tmp_path, monkeypatch):
    (tmp_path / "formats").mkdir()
    (tmp_path / "formats" / "npz_test_format.py").write_text(FORMAT)
    monkeypatch.setattr(slide_formats, "__path__", [*slide_formats.__path__, str(tmp_path / "formats")])
    all_formats.cache_clear()
    yield
    all_formats.cache_clear()


def test_a_new_format_is_found_and_cut(tmp_path, npz_format):
    assert slide_suffixes() >= {".npz", ".svs", ".mrxs"}
    pixels = np.random.default_rng(0).integers(60, 200, (128, 192, 3), np.uint8)
    (tmp_path / "Far").mkdir()
    np.savez(tmp_path / "Far" / "a.npz", pixels=pixels, mpp=0.5)
    write_csv(tmp_path / "Far" / "meta.csv", [("a.npz", "1", 1, "PTC")])
    out = tile(tmp_path / "out", tmp_path / "Far", tile_px=64, study_mpp=1.0, mpp={}, slide_tiles=0, min_tissue=0.0)
    with ImageArchive(out["tiles"]) as archive:
        assert (len(archive), set(archive.manifest["mpp"])) == (1, {1.0})
        row = archive.manifest.iloc[0]
        left, top = 2 * row["x"], 2 * row["y"]
        square = Image.fromarray(pixels[top : top + 128, left : left + 128])
        expected = np.asarray(square.resize((64, 64), Image.Resampling.LANCZOS))
        assert np.array_equal(archive.read(row["file"]), expected)
