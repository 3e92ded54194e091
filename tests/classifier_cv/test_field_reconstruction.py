"""Fields put together again from what the tile stage cut, and the squares that are cut from them."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from components.classifier_cv.field_reconstruction import cut_fixed_squares, cut_squares, field_rows, reconstruct_fields
from components.core.data.archive import ImageArchive
from components.core.errors import DataError
from components.tile.options import TileOptions
from components.tile.stage import run as tile


def cut(folder, tile_px, resolution, size=(220, 150)):
    """Two fields of two patients through the tile stage: pixels, rows, tiles."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    pixels = {}
    for name in ("1a.png", "2a.png"):
        small = rng.integers(0, 256, (size[1] // 10, size[0] // 10, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
        image.save(folder / "images" / name)
        pixels[name] = np.asarray(image)
    labels = "file,class,patient,diagnosis\n1a.png,0,1,FA\n2a.png,1,2,PTC\n"
    (folder / "images" / "labels.csv").write_text(labels)
    names = ("tiles", "manifest", "tile_page", "data_card", "card_values", "tile_record")
    outputs = {name: str(folder / name) for name in names}
    options = TileOptions(tile_px=tile_px, resolution=resolution)
    tile(sources=[str(folder / "images")], mpp={"*": "0.5"}, options=options, **outputs)
    with ImageArchive(folder / "tiles") as archive:
        tiles = torch.from_numpy(np.stack(list(archive.images()))).permute(0, 3, 1, 2)
        return pixels, archive.manifest, tiles


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("THYGAN_STUDY_KEY", "a study key for the toy tests")


def test_fields_are_the_images_that_were_cut(tmp_path):
    pixels, rows, tiles = cut(tmp_path, 64, 64)
    mixed = np.random.default_rng(1).permutation(len(rows))
    fields = list(reconstruct_fields(rows.iloc[mixed], tiles[mixed], 64))
    table = field_rows(rows.iloc[mixed])
    assert sorted(table["file"]) == ["1a.png", "2a.png"] and len(rows) == 12
    for name, field in zip(table["file"], fields, strict=True):
        image = torch.from_numpy(pixels[name].copy()).permute(2, 0, 1)
        assert field.shape == image.shape and sorted(set(rows["x"])) == [0, 64, 156] and set(rows["y"]) == {0, 86}
        rows_cut, columns_cut = [*range(64), *range(86, 150)], [*range(128), *range(156, 220)]
        assert torch.equal(field[:, rows_cut][:, :, columns_cut], image[:, rows_cut][:, :, columns_cut])
        assert torch.equal(field[:, 64:75, :64], image[:, 53:64, :64].flip(1))  # no tile has it: its neighbours' mirror
        assert torch.equal(field[:, 75:86, :64], image[:, 86:97, :64].flip(1))
        assert torch.equal(field[:, :64, 142:156], image[:, :64, 156:170].flip(2))


def test_fields_of_resized_tiles_are_resized_fields(tmp_path):
    pixels, rows, tiles = cut(tmp_path, 96, 32, (192, 288))
    for name, field in zip(field_rows(rows)["file"], reconstruct_fields(rows, tiles, 96), strict=True):
        resized = np.asarray(Image.fromarray(pixels[name]).resize((64, 96), Image.Resampling.LANCZOS))
        assert field.shape == (3, 96, 64)
        assert np.abs(field.permute(1, 2, 0).numpy().astype(int) - resized).mean() < 4  # edges of tiles see no beyond


def test_squares_lie_where_they_are_drawn():
    field = torch.arange(20 * 30).reshape(1, 20, 30).expand(3, -1, -1) % 251
    fields = [field.to(torch.uint8), field[:, :8, :8].to(torch.uint8)]
    cut = cut_squares(fields, torch.tensor([[0.0, 0.0], [0.9, 0.9]]), 8)
    assert torch.equal(cut[0], fields[0][:, :8, :8]) and torch.equal(cut[1], fields[1])
    assert torch.equal(cut_squares(fields[:1], torch.tensor([[0.9999, 0.9999]]), 8)[0], fields[0][:, 12:, 22:])
    fixed = [cut_fixed_squares(fields, seed, 8) for seed in (1, 1, 2)]
    assert torch.equal(fixed[0], fixed[1]) and not torch.equal(fixed[0], fixed[2])


def test_tiles_without_a_place_are_refused():
    rows = pd.DataFrame({"site": ["A"], "source": ["7.png"], "x": [None], "y": [0]})
    with pytest.raises(DataError, match=r"7\.png do not say where"):
        field_rows(rows)
