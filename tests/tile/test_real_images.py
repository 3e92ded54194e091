"""The stage over real H&E images."""

import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from tile_folder import tile

from components.core.archive import ImageArchive
from components.core.errors import DataError
from components.core.manifest import read_manifest

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="skipped: no ../shared/data")

GLAS = {"mpp": {"UHCW-Warwick": "0.62"}}


@pytest.fixture
def some_of_torino(tmp_path):
    """Six images of each class, with their rows."""
    folder = tmp_path / "torino"
    (folder / "images").mkdir(parents=True)
    rows = pd.read_csv(DATA / "torino" / "meta.csv", dtype=str).groupby("class").head(6)
    rows.to_csv(folder / "meta.csv", index=False)
    for file in rows["file"]:
        (folder / "images" / file).symlink_to(DATA / "torino" / "images" / file)
    return folder


def test_glas_has_180_tiles_of_seven_people_in_eleven_cases(tmp_path):
    out = tile(tmp_path, DATA / "glas", tile_px=512, resolution=32, **GLAS)
    table = read_manifest(out["manifest"])
    assert len(table) == 180  # the data set's own count
    assert (table["patient"].nunique(), table["case"].nunique(), table["identity"].nunique()) == (7, 11, 7)
    meta = pd.read_csv(DATA / "glas" / "meta.csv", dtype=str).set_index("file")
    for source, tiles in table.groupby("source"):
        assert set(tiles["case"]) == {meta.loc[source, "case"]}
        assert set(tiles["label"]) == {int(meta.loc[source, "class"])}
    assert set(table["x"]) == {0, 512, 1038}
    assert set(table["y"]) == {0, 532}
    assert table["mpp"].unique() == pytest.approx([0.62 * 16])


def test_stored_tile_is_the_crop_resized(tmp_path):
    out = tile(tmp_path, DATA / "lc25000", tile_px=512, resolution=32, mpp={"*": "unknown"})
    with ImageArchive(out["tiles"]) as archive, Image.open(DATA / "lc25000/images/LC-colonca1290.jpeg") as image:
        row = archive.manifest[archive.manifest["source"] == "LC-colonca1290.jpeg"].iloc[3]
        assert (row["x"], row["y"]) == (256, 256)
        crop = image.crop((256, 256, 768, 768)).resize((32, 32), Image.Resampling.LANCZOS)
        assert (archive.read(row["file"]) == crop).all()


def test_images_smaller_than_a_tile_are_refused_then_enlarged(tmp_path):
    with pytest.raises(DataError, match="is smaller than a tile of 512 px"):
        tile(tmp_path, DATA / "glas_small", tile_px=512, **GLAS)
    out = tile(tmp_path, DATA / "glas_small", tile_px=512, resolution=32, small={"UHCW-Warwick": "resize"}, **GLAS)
    [site] = json.loads(out["metrics"].read_text())["tables"]["sites"]
    assert (site["images"], site["small_images"]) == (13, 10)
    table = read_manifest(out["manifest"])
    assert table["mpp"].min() == pytest.approx(0.62 * 16 * 430 / 512, rel=0.01)


def test_site_without_patients_is_admitted_for_tile_metrics_only(tmp_path, some_of_torino):
    options = {"mpp": {"Torino": "unknown"}, "tile_px": 512, "resolution": 32, "small": {"Torino": "resize"}}
    with pytest.raises(DataError, match=r"12 image\(s\) of site 'Torino' have no patient .*--tile-level Torino"):
        tile(tmp_path, some_of_torino, **options)
    table = read_manifest(tile(tmp_path, some_of_torino, tile_level=["Torino"], **options)["manifest"])
    assert len(table) == 12
    assert set(table["patient"]) == set(table["identity"]) == set(table["case"]) == {""}
    assert table["mpp"].isna().all()


def test_one_class_and_many_sites(tmp_path):
    out = tile(tmp_path, DATA / "tcga", tile_px=512, resolution=32, mpp={"*": "0.25"})
    record = json.loads(out["metrics"].read_text())
    assert len(record["tables"]["sites"]) == 27
    assert record["patients"] == 33
    assert sum(site["class0"] for site in record["tables"]["sites"]) == 0


def test_thygans_label_files():
    labels = DATA.parent / "reference/thygan/data/labels"
    if not labels.is_dir():
        pytest.skip("skipped: no ../shared/reference/thygan")
    from components.tile.labels import merged

    binary = merged([labels / "bi_dataset.json"])
    assert len(binary) == 1496
    assert len({row["patient"] for row in binary.values()}) == 156
    assert len(merged([labels / "ext_dataset.json"])) == 1351
    with pytest.raises(DataError, match=r"mc_dataset.json: a label is 0 or 1"):
        merged([labels / "mc_dataset.json"])
