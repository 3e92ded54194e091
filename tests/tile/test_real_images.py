"""The stage over real H&E images."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from tile_folder import tile, write_csv

from components.core.data.archive import ImageArchive
from components.core.data.manifest import read_manifest
from components.core.errors import DataError
from components.tile.labels import LabelFile, merge_labels

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
        shutil.copy(DATA / "torino" / "images" / file, folder / "images" / file)
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
    [site] = json.loads(out["tile_record"].read_text())["tables"]["sites"]
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
    record = json.loads(out["tile_record"].read_text())
    assert len(record["tables"]["sites"]) == 27
    assert record["patients"] == 33
    assert sum(site["class0"] for site in record["tables"]["sites"]) == 0


@pytest.fixture
def slides(tmp_path):
    """The real slides and the broken one, with their labels."""
    if not (DATA / "wsi").is_dir():
        pytest.skip("skipped: no ../shared/data/wsi")
    pytest.importorskip("openslide", reason="skipped: no openslide")
    folder = tmp_path / "wsi"
    folder.mkdir()
    for file in (DATA / "wsi").glob("*.svs"):
        shutil.copy(file, folder)
    write_csv(
        folder / "meta.csv",
        [
            ("CMU-1-Small-Region.svs", "CMU-1", 0, "FA", "CMU"),
            ("broken.svs", "CMU-2", 0, "FA", "CMU"),
            ("TCGA-CR-7395-01A-01-TS1.svs", "", 1, "PTC", "TCGA"),
        ],
        ("file", "patient", "class", "diagnosis", "site"),
    )
    return folder


def test_real_slides(tmp_path, slides):
    options = {"tile_px": 256, "study_mpp": 0.5, "patient_pattern": "tcga", "skip_bad": True}
    with pytest.raises(DataError, match="No image of site 'TCGA' gave a tile"):  # it does not say its um/px
        tile(tmp_path / "out", slides, **{**options, "mpp": {}})
    out = tile(tmp_path / "out", slides, **{**options, "mpp": {"TCGA": "0.5"}})
    table = read_manifest(out["manifest"])
    assert table.groupby("patient").size().to_dict() == {"CMU-1": 20, "TCGA-CR-7395": 20}
    record = json.loads(out["tile_record"].read_text())
    assert [row["file"] for row in record["tables"]["skipped"]] == ["broken.svs"]
    said = {row["site"]: (row["source_mpp"], row["mpp_stated_by"]) for row in record["tables"]["slides"]}
    assert said == {"CMU": (0.499, "metadata"), "TCGA": (0.5, "--mpp")}
    with ImageArchive(out["tiles"]) as archive:
        glass = [(image.min(2) > 220).mean() for image in archive.images()]
    assert max(glass) < 0.6


def test_thygans_label_files():
    labels = DATA.parent / "reference/thygan/data/labels"
    if not labels.is_dir():
        pytest.skip("skipped: no ../shared/reference/thygan")

    def said(name):
        return merge_labels([LabelFile(name, (labels / name).read_bytes())])

    binary = said("bi_dataset.json")
    assert len(binary) == 1496
    assert len({row["patient"] for row in binary.values()}) == 156
    assert len(said("ext_dataset.json")) == 1351
    with pytest.raises(DataError, match=r"mc_dataset.json: a label is 0 or 1"):
        said("mc_dataset.json")
