"""The stage over whole slides, and Thy-GAN's reference band."""

import base64
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pyramid import tissue, write_slide
from tile_folder import make_folder, tile, write_csv

from components.core.data.archive import ImageArchive
from components.core.data.manifest import read_manifest
from components.core.errors import ThyganError
from components.core.protocol.lineage import key_id, study_key
from components.core.protocol.split_plan import SplitPlan

pytest.importorskip("openslide", reason="skipped: no openslide")

SLIDES = {"TCGA-AA-0001_a.tif": 0.25, "TCGA-AA-0002_a.tif": 0.5, "TCGA-BB-0003_a.tif": 0.5}
BOX = (128, 128, 512, 384)  # on grid lines at both magnifications


@pytest.fixture
def folder(tmp_path):
    """Three slides with a box of tissue, at two magnifications."""
    rows = []
    for number, (name, mpp) in enumerate(SLIDES.items()):
        write_slide(tmp_path / "Far" / "images" / name, tissue(640, 512, [BOX], number), levels=2, mpp=mpp)
        rows.append((name, number % 2, "PTC" if number % 2 else "FA"))
    write_csv(tmp_path / "Far" / "meta.csv", rows, ("file", "class", "diagnosis"))
    return tmp_path / "Far"


OPTIONS = {"tile_px": 64, "study_mpp": 0.5, "patient_pattern": "tcga", "mpp": {"Far": "metadata"}}


def test_slides_come_to_one_um_per_px(tmp_path, folder):
    out = tile(tmp_path / "out", folder, slide_tiles=0, **OPTIONS)
    table = read_manifest(out["manifest"])
    left, top, right, bottom = BOX
    expected = {
        source: {
            (x, y)
            for x in range(0, int(640 * mpp / 0.5), 64)
            for y in range(0, int(512 * mpp / 0.5), 64)
            if left * mpp / 0.5 <= x < right * mpp / 0.5 and top * mpp / 0.5 <= y < bottom * mpp / 0.5
        }
        for source, mpp in SLIDES.items()
    }
    assert {source: set(zip(rows["x"], rows["y"], strict=True)) for source, rows in table.groupby("source")} == expected
    assert set(table["mpp"]) == {0.5} and out["mpp_of_study"] == 0.5
    assert set(table["patient"]) == {"TCGA-AA-0001", "TCGA-AA-0002", "TCGA-BB-0003"}
    record = json.loads(out["tile_record"].read_text())
    assert [row["source_mpp"] for row in record["tables"]["slides"]] == [0.25, 0.5, 0.5]
    assert [row["tissue_tiles"] for row in record["tables"]["slides"]] == [len(one) for one in expected.values()]


def test_same_seed_gives_the_same_tiles_whatever_other_slides_there_are(tmp_path, folder):
    first = read_manifest(tile(tmp_path / "1", folder, slide_tiles=4, **OPTIONS)["manifest"])
    assert list(first.groupby("source").size()) == [4, 4, 4]
    second = tile(tmp_path / "2", folder, slide_tiles=4, **OPTIONS)["manifest"]
    pd.testing.assert_frame_equal(read_manifest(second), first)
    (folder / "images" / "TCGA-AA-0001_a.tif").unlink()
    write_csv(folder / "meta.csv", [(name, 1, "PTC") for name in list(SLIDES)[1:]], ("file", "class", "diagnosis"))
    fewer = read_manifest(tile(tmp_path / "3", folder, slide_tiles=4, **OPTIONS)["manifest"])
    assert list(fewer["sha256"]) == list(first.loc[first["source"] != "TCGA-AA-0001_a.tif", "sha256"])
    other = read_manifest(tile(tmp_path / "4", folder, slide_tiles=4, seed=1, **OPTIONS)["manifest"])
    assert list(other["sha256"]) != list(fewer["sha256"])


def test_page_shows_each_slide_with_its_tiles(tmp_path, folder):
    page = tile(tmp_path / "out", folder, slide_tiles=1, **OPTIONS)["tile_page"].read_text()
    assert "TCGA" not in page  # a slide's name may name a patient
    pictures = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert len(pictures) == 3
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures[1]))).convert("RGB"), float)
    blue = (drawn[..., 2] > drawn[..., 0] + 60).sum()
    assert drawn.shape == (512, 640, 3)
    assert 400 < blue < 1200  # the outline of one square of 64 px


def test_broken_slide_between_good_ones(tmp_path, folder):
    (folder / "images" / "TCGA-AA-0002_a.tif").rename(folder / "images" / "b.svs")
    (folder / "images" / "b.svs").write_text("no slide")
    names = ["TCGA-AA-0001_a.tif", "b.svs", "TCGA-BB-0003_a.tif"]
    rows = [(name, f"p{number}", 1, "PTC") for number, name in enumerate(names)]
    write_csv(folder / "meta.csv", rows)
    with pytest.raises(ThyganError, match=r"b.svs cannot be read as a slide"):
        tile(tmp_path / "out", folder, **OPTIONS)
    out = tile(tmp_path / "out", folder, skip_bad=True, **OPTIONS)
    assert set(read_manifest(out["manifest"])["source"]) == {names[0], names[2]}


def test_slide_that_breaks_off_is_listed_with_what_it_gave(tmp_path, folder):
    """The pixels of one tile lead out of the file; the directory, and so the opening, are sound."""
    path = folder / "images" / "TCGA-AA-0002_a.tif"
    write_slide(path, tissue(640, 512, [BOX]), mpp=0.5, torn_tile=24)
    path.rename(path.with_suffix(".svs"))
    rows = [(name.replace("2_a.tif", "2_a.svs"), 1, "PTC") for name in SLIDES]
    write_csv(folder / "meta.csv", rows, ("file", "class", "diagnosis"))
    with pytest.raises(ThyganError, match=r"2_a.svs cannot be read as a slide"):
        tile(tmp_path / "out", folder, slide_tiles=0, **OPTIONS)
    out = tile(tmp_path / "out", folder, slide_tiles=0, skip_bad=True, **OPTIONS)
    assert set(read_manifest(out["manifest"])["source"]) >= {"TCGA-AA-0001_a.tif", "TCGA-BB-0003_a.tif"}
    [skipped] = json.loads(out["tile_record"].read_text())["tables"]["skipped"]
    assert skipped["file"] == "TCGA-AA-0002_a.svs"


def test_slide_smaller_than_a_tile_is_a_small_image(tmp_path, folder):
    options = {**OPTIONS, "tile_px": 300}
    with pytest.raises(ThyganError, match="320x256 px is smaller than a tile of 300 px"):
        tile(tmp_path / "out", folder, **options)
    out = tile(tmp_path / "out", folder, small={"*": "pad"}, min_tissue=0.1, **options)
    counts = read_manifest(out["manifest"]).groupby("source").size()
    assert counts["TCGA-AA-0001_a.tif"] == 1


def test_um_per_px_of_slides_is_asked_for(tmp_path, folder):
    with pytest.raises(ThyganError, match="by --study-mpp"):
        tile(tmp_path / "out", folder, **{**OPTIONS, "study_mpp": None})
    with pytest.raises(ThyganError, match=r"1_a.tif has 0.25 um/px \(metadata\) where --mpp states 0.5"):
        tile(tmp_path / "out", folder, **{**OPTIONS, "mpp": {"Far": "0.5"}})


@pytest.fixture
def study(tmp_path):
    """A study's tile set, its plan, and the tones of its training tiles computed from the image files."""
    rows = [(f"{n}a.png", str(n), n % 2, "PTC" if n % 2 else "FA") for n in range(6)]
    source = make_folder(tmp_path / "Home", rows, width=64, height=64)
    rng = np.random.default_rng(5)
    for number, (name, *_) in enumerate(rows):  # between glass and tissue
        centre, spread = (130 + 20 * number, 45 + 10 * (number % 3)) if number < 4 else (20, 5)
        pixels = np.clip(rng.normal(centre, spread, (64, 64, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(source / "images" / name)
    out = tile(tmp_path / "study", source, tile_px=64)
    people = read_manifest(out["manifest"]).set_index("patient")["identity"]
    parts = {"train": sorted(people[["0", "1", "2", "3"]]), "val": sorted(people[["4", "5"]]), "test": []}
    SplitPlan(key_id(study_key()), {"all": parts}, "by hand").write(tmp_path / "plan.json")
    training = [np.asarray(Image.open(source / "images" / f"{n}a.png"), float) for n in range(4)]
    tones = np.array([(one.mean(), one.std()) for one in training])
    return {"reference": str(out["tiles"]), "plan": str(tmp_path / "plan.json")}, tones


@pytest.fixture
def half_empty(tmp_path):
    """A slide whose tissue tiles have more and less glass in them, and are smoother and coarser."""
    pixels, rng = tissue(640, 512, []), np.random.default_rng(2)
    for x in range(0, 640, 64):
        for y in range(0, 512, 64):
            width, grain = rng.integers(20, 65), rng.uniform(5, 60)
            box = rng.normal((150, 80, 160), grain, (64, width, 3))
            pixels[y : y + 64, x : x + width] = np.clip(box, 0, 255)
    write_slide(tmp_path / "Far" / "images" / "a.svs", pixels, mpp=0.5)
    write_csv(tmp_path / "Far" / "meta.csv", [("a.svs", "1", 1, "PTC")])
    return tmp_path / "Far"


def cut(out, folder, **options):
    files = tile(out, folder, **{**OPTIONS, "min_tissue": 0.2, "patient_pattern": "", **options})
    with ImageArchive(files["tiles"]) as archive:
        places = list(zip(archive.manifest["x"], archive.manifest["y"], strict=True))
        return dict(zip(places, archive.images(), strict=True)), json.loads(files["tile_record"].read_text())


def test_band_keeps_what_is_within_one_standard_deviation(tmp_path, half_empty, study):
    files, tones = study
    every, _ = cut(tmp_path / "1", half_empty, slide_tiles=0)
    kept, record = cut(tmp_path / "2", half_empty, slide_tiles=0, slide_filter="reference-band", blind=True, **files)
    band = record["tables"]["reference_band"]
    assert (band["patients"], band["tiles"]) == (4, 4)
    assert np.allclose([band["mean"], band["spread"]], tones.mean(0))
    assert np.allclose([band["mean_sd"], band["spread_sd"]], tones.std(0))
    within = {
        place
        for place, pixels in every.items()
        if (np.abs(np.array([pixels.mean(), pixels.std()]) - tones.mean(0)) <= tones.std(0)).all()
    }
    assert set(kept) == within and 5 < len(within) < len(every) - 5
    [slide] = record["tables"]["slides"]
    assert (slide["tiles"], slide["refused_by_filter"]) == (len(within), len(every) - len(within))
    assert record["slide_filter"] == "reference-band"

    some, _ = cut(tmp_path / "3", half_empty, slide_tiles=3, slide_filter="reference-band", blind=True, **files)
    order = [place for place in every if place in within]
    assert list(some) == order[:3]


def test_filter_off_needs_no_study_and_ignores_it(tmp_path, half_empty, study):
    files, _ = study
    plain, record = cut(tmp_path / "1", half_empty, slide_tiles=5)
    given, _ = cut(tmp_path / "2", half_empty, slide_tiles=5, **files)
    assert list(plain) == list(given)
    assert record["slide_filter"] == "none" and "reference_band" not in record["tables"]


def test_slide_outside_the_band_is_listed(tmp_path, folder, study):
    files, _ = study
    with pytest.raises(ThyganError, match=r"No image of site 'Far' gave a tile: .*--slide-filter"):
        tile(tmp_path / "out", folder, slide_filter="reference-band", blind=True, **files, **OPTIONS)


def test_band_of_another_study_or_side_is_refused(tmp_path, half_empty, study):
    files, _ = study
    options = {"slide_filter": "reference-band", "blind": True, **files}
    with pytest.raises(ThyganError, match=r"has tiles of 64 px and the slides' will have 32"):
        cut(tmp_path / "1", half_empty, **options, resolution=32)
    stranger = {"train": ["00000000-ab"], "val": [], "test": []}
    SplitPlan("00000000", {"all": stranger}, "by hand").write(tmp_path / "plan.json")
    with pytest.raises(ThyganError, match=r"No tile of .* belongs to a training patient of"):
        cut(tmp_path / "2", half_empty, **options)
    text = (tmp_path / "plan.json").read_text().replace("00000000-ab", "00000000-ac")
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ThyganError, match="its digest does not fit"):
        cut(tmp_path / "3", half_empty, **options)


def test_filter_acts_on_blind_tile_sets_only(tmp_path, half_empty):
    """The study's own tile set has the same options, and nothing to be compared with yet."""
    plain, _ = cut(tmp_path / "1", half_empty, slide_tiles=5)
    unfiltered, record = cut(tmp_path / "2", half_empty, slide_tiles=5, slide_filter="reference-band")
    assert list(plain) == list(unfiltered)
    assert record["slide_filter"] == "none"
    with pytest.raises(ThyganError, match="give the study's tile set by --reference and its split plan by --plan"):
        cut(tmp_path / "3", half_empty, slide_filter="reference-band", blind=True)
