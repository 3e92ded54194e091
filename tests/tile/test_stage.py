"""The stage over small made folders: what it writes, and what it refuses."""

import json
import shutil
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tile_folder import ROWS, make_folder, tile, write_csv, write_image, write_json

from components.core.data.archive import ImageArchive
from components.core.data.file_names import RECORDS
from components.core.data.manifest import read_manifest
from components.core.errors import ThyganError
from components.core.protocol.lineage import identity, key_id, study_key


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "Hospital")


def test_archive_and_manifest_say_what_each_tile_is_of(tmp_path, folder):
    out = tile(tmp_path, folder, resolution=8)
    table = read_manifest(out["manifest"])
    with ImageArchive(out["tiles"]) as archive:
        pd.testing.assert_frame_equal(archive.manifest, table)
        assert archive.attachment("key.json") == {"key_id": key_id(study_key())}
        assert archive.resolution == 8
        assert archive.attachment("dataset.json")["labels"][0] == ["00000/img00000000.png", 1]
        assert archive.attachment(RECORDS)[0]["tiles"] == len(table)
    assert len(table) == 4 * 3 * 2
    first = table.iloc[0].to_dict()
    expected = {"label": 1, "patient": "1", "case": "1", "diagnosis": "PTC", "site": "Hospital", "source": "1a.png"}
    assert expected.items() <= first.items()
    assert (first["x"], first["y"], first["mpp"]) == (0, 0, 1.0)
    assert first["identity"] == identity(study_key(), "Hospital", "1")
    assert table["identity"].nunique() == 3


def test_record_counts(tmp_path, folder):
    record = json.loads(tile(tmp_path, folder)["tile_record"].read_text())
    assert (record["images"], record["tiles"], record["patients"], record["mpp"]) == (4, 24, 3, 0.5)
    [site] = record["tables"]["sites"]
    assert (site["site"], site["class0"], site["class1"], site["cases"]) == ("Hospital", 12, 12, 3)
    assert record["tables"]["skipped"] == []


def test_blind_archive_leaves_labels_to_the_manifest(tmp_path, folder):
    out = tile(tmp_path, folder, blind=True)
    table = read_manifest(out["manifest"])
    with ImageArchive(out["tiles"]) as archive:
        assert archive.manifest["label"].isna().all()
        assert set(archive.manifest["diagnosis"]) == {""}
        assert archive.attachment("dataset.json")["labels"] is None
        others = table.columns.difference(["label", "diagnosis"])
        pd.testing.assert_frame_equal(archive.manifest[others], table[others])
    assert sorted(table["label"].unique()) == [0, 1]
    assert sorted(table["diagnosis"].unique()) == ["FA", "FTC", "PTC"]


def test_no_source_makes_an_empty_tile_set(tmp_path):
    out = tile(tmp_path)
    assert read_manifest(out["manifest"]).empty
    with ImageArchive(out["tiles"]) as archive:
        assert len(archive) == 0
        assert archive.attachment("key.json")
    assert "empty" in out["tile_page"].read_text()


def test_same_input_gives_the_same_bytes(tmp_path, folder):
    first, second = tile(tmp_path / "1", folder), tile(tmp_path / "2", folder)
    assert first["manifest"].read_bytes() == second["manifest"].read_bytes()
    with ImageArchive(first["tiles"]) as one, ImageArchive(second["tiles"]) as other:
        assert list(one.manifest["sha256"]) == list(other.manifest["sha256"])


def test_sites_are_resampled_to_the_study(tmp_path):
    near, far = make_folder(tmp_path / "Near", width=64, height=64), make_folder(tmp_path / "Far")
    unknown = make_folder(tmp_path / "Elsewhere")
    mpp = {"Near": "0.25", "Far": "0.5", "Elsewhere": "unknown"}
    table = read_manifest(tile(tmp_path, near, far, unknown, mpp=mpp, study_mpp=0.5)["manifest"])
    tiles = table.groupby("site", sort=False).size()
    assert tiles.to_dict() == {"Near": 4 * 4, "Far": 4 * 6, "Elsewhere": 4 * 6}
    scales = table.groupby("site")["mpp"].first()
    assert scales["Near"] == scales["Far"] == 0.5
    assert np.isnan(scales["Elsewhere"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mpp": {"*": "0.25"}, "resolution": 8}, 0.25),
        ({"mpp": {"*": "0.25"}, "study_mpp": 0.5, "small": {"*": "pad"}}, 0.5),
        ({"mpp": {"*": "unknown"}}, 0.0),
    ],
)
def test_um_per_px_of_the_study_is_that_of_the_cut(tmp_path, folder, options, expected):
    assert tile(tmp_path, folder, **options)["mpp_of_study"] == expected


def test_target_um_per_px_goes_before_the_options(tmp_path, folder):
    out = tile(tmp_path, folder, mpp={"*": "0.25"}, study_mpp=0.25, target_mpp=0.125)
    assert out["mpp_of_study"] == 0.125
    assert set(read_manifest(out["manifest"])["mpp"]) == {0.125}
    assert len(read_manifest(out["manifest"])) == 4 * 5 * 3  # of 80x48 px


def test_tile_level_may_name_sites_of_the_other_tile_set(tmp_path, folder):
    out = tile(tmp_path, folder, tile_level=["Turin"])
    [site] = json.loads(out["tile_record"].read_text())["tables"]["sites"]
    assert (site["site"], site["tile_level"]) == ("Hospital", False)


def test_patients_of_two_sites_stay_apart(tmp_path):
    one, other = make_folder(tmp_path / "A"), make_folder(tmp_path / "B", [("1a.png", "1", 0, "FA")])
    table = read_manifest(tile(tmp_path, one, other)["manifest"])
    assert set(table["patient"]) == {"A/1", "2", "3", "B/1"}
    assert table.loc[table["case"] == "B/1", "identity"].iloc[0] == identity(study_key(), "B", "1")


def test_folders_of_one_site_share_their_patients(tmp_path):
    one, other = make_folder(tmp_path / "a"), make_folder(tmp_path / "b", [("1c.png", "1", 1, "PTC")])
    table = read_manifest(tile(tmp_path, one, other, sites=["Town", "Town"])["manifest"])
    assert table.loc[table["patient"] == "1", "identity"].nunique() == 1
    assert set(table["site"]) == {"Town"}


def test_patients_from_file_names(tmp_path):
    for seed, name in enumerate(("12a.jpeg", "12b.jpeg", "7a.jpeg")):
        write_image(tmp_path / "s" / name, seed=seed)
    write_json(tmp_path / "s" / "dataset.json", labels=[["12a.jpeg", 1], ["12b.jpeg", 1], ["7a.jpeg", 0]])
    out = tile(tmp_path, tmp_path / "s", patient_pattern=r"(?P<patient>\d+)[a-z]\.jpeg")
    table = read_manifest(out["manifest"])
    assert dict(zip(table["source"], table["patient"], strict=True)) == {
        "12a.jpeg": "12",
        "12b.jpeg": "12",
        "7a.jpeg": "7",
    }
    assert set(table["diagnosis"]) == {"class 0", "class 1"}


def test_odd_images_are_skipped_counted_and_listed(tmp_path, folder):
    Image.new("L", (40, 24)).save(folder / "images" / "1b.png")
    out = tile(tmp_path, folder, skip_bad=True)
    record = json.loads(out["tile_record"].read_text())
    assert record["images"] == 3
    assert record["tables"]["skipped"] == [{"file": "1b.png", "why": "is grey (mode L), not RGB"}]
    assert "is grey (mode L)" in out["tile_page"].read_text()


def test_small_images_are_skipped_where_said(tmp_path, folder):
    write_image(folder / "images" / "2a.png", 15, 40)
    out = tile(tmp_path, folder, small={"*": "refuse", "Hospital": "skip"})
    assert json.loads(out["tile_record"].read_text())["tables"]["skipped"][0]["file"] == "2a.png"


def test_small_enlarged_images_have_their_own_um_per_px(tmp_path, folder):
    write_image(folder / "images" / "2a.png", 8, 8)
    table = read_manifest(tile(tmp_path, folder, small={"*": "resize"})["manifest"])
    assert table.groupby("source")["mpp"].first().to_dict() == {
        "1a.png": 0.5,
        "1b.png": 0.5,
        "2a.png": 0.25,
        "3a.png": 0.5,
    }


def test_page_names_no_patient_and_needs_nothing_from_outside(tmp_path):
    rows = [(file, f"Secret-{patient}", label, name) for file, patient, label, name in ROWS]
    page = tile(tmp_path, make_folder(tmp_path / "A&B", rows))["tile_page"].read_text()
    assert "Secret" not in page
    assert "http" not in page
    assert "<h2>A&amp;B</h2>" in page
    assert page.count('<img src="data:image/png;base64,') == 2 * 8  # of 12 tiles in each class


def truncated(folder):
    write_image(folder / "images" / "1b.jpeg", 200, 200)
    (folder / "images" / "1b.png").unlink()
    data = (folder / "images" / "1b.jpeg").read_bytes()
    (folder / "images" / "1b.jpeg").write_bytes(data[: len(data) // 2])
    write_csv(folder / "meta.csv", [("1b.jpeg", *row[1:]) if row[0] == "1b.png" else row for row in ROWS])


def as_mode(mode):
    return lambda folder: Image.new(mode, (40, 24)).save(folder / "images" / "1b.png")


def in_place(name, **options):
    def change(folder):
        write_image(folder / "images" / "1b.png", **options)
        (folder / "images" / "1b.png").rename(folder / "images" / name)
        write_csv(folder / "meta.csv", [(name, *row[1:]) if row[0] == "1b.png" else row for row in ROWS])

    return change


def as_cmyk(folder):
    in_place("1b.jpeg")(folder)
    Image.new("CMYK", (40, 24)).save(folder / "images" / "1b.jpeg", "JPEG")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def as_16_bit_rgb(folder):
    """16-bit RGB PNG, which Pillow cannot write: header, one zlib stream of rows, end."""
    header = struct.pack(">IIBBBBB", 40, 24, 16, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(40 * 6)) * 24)
    (folder / "images" / "1b.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def as_png(width, height):
    """A PNG that claims this size and holds nothing: header, end."""

    def change(folder):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        (folder / "images" / "1b.png").write_bytes(data)

    return change


def as_pages(folder):
    in_place("1b.tiff")(folder)
    page = Image.new("RGB", (40, 24))
    page.save(folder / "images" / "1b.tiff", "TIFF", save_all=True, append_images=[page])


def rows(*changed, columns=("file", "patient", "class", "diagnosis")):
    return lambda folder: write_csv(folder / "meta.csv", changed, columns)


def as_jpeg_named_png(folder):
    Image.new("RGB", (40, 24)).save(folder / "images" / "1b.png", "JPEG")


def as_copy(folder):
    shutil.copy(folder / "images" / "2a.png", folder / "images" / "3a.png")


def as_twins_by_name(folder):
    """Two umlauts that differ in their encoding only."""
    for name in ("u\u0308.png", "\u00fc.png"):
        write_image(folder / "images" / name)


def as_slide(folder):
    in_place("1b.svs")(folder)
    (folder / "images" / "1b.svs").write_bytes(b"no slide")


def without_images(folder):
    for file in (folder / "images").iterdir():
        file.unlink()


def with_json(**value):
    return lambda folder: write_json(folder / "labels.json", **value)


UNKNOWN = [(file, "unknown", label, name) for file, _, label, name in ROWS]
CASES = ("file", "patient", "class", "case")
BAD = {
    "no folder": (None, {"sources": ["/nowhere"]}, "There is no folder /nowhere"),
    "empty name": (None, {"sources": [""]}, "A source is empty"),
    "empty folder": (without_images, {}, "has no image"),
    "no label file": (lambda f: (f / "meta.csv").unlink(), {}, "has no label file"),
    "absent label file": (None, {"labels": ["/nowhere.csv"]}, "There is no label file /nowhere.csv"),
    "label for a missing file": (rows(*ROWS, ("9a.png", "9", 0, "FA")), {}, "name 9a.png, which does not exist"),
    "file without label": (rows(*ROWS[1:]), {}, r"1 image\(s\) of .* have no label \(first: 1a.png\)"),
    "two labels": (rows(*ROWS, ("1a.png", "1", 0, "FA")), {}, r"1a.png has two labels \(0 and 1\)"),
    "two rows": (rows(*ROWS, ROWS[0]), {}, "1a.png has two rows"),
    "contradicting files": (with_json(labels=[["1a.png", 0]]), {}, "label '0' in .*labels.json and '1' in .*meta.csv"),
    "label of five classes": (with_json(labels=[["1a.png", 3]]), {}, "has the label '3' .* a label is 0 or 1"),
    "label in words": (rows(("1a.png", "1", "PTC", "PTC")), {}, "has the label 'PTC'"),
    "no patient": (rows(*UNKNOWN), {}, r"4 image\(s\) of site 'Hospital' have no patient .*--patient-pattern.*CSV"),
    "pattern that finds nobody": (rows(*UNKNOWN), {"patient_pattern": "x(?P<patient>y)"}, "have no patient"),
    "pattern without group": (None, {"patient_pattern": r"(\d+)"}, "no group `patient`"),
    "broken pattern": (None, {"patient_pattern": "("}, "is not a regular expression"),
    "case of two classes": (
        rows(("1a.png", "1", 1, "k"), ("1b.png", "1", 0, "k"), ("2a.png", "2", 0, ""), ("3a.png", "3", 0, ""),
             columns=CASES),
        {},
        "Case 'k' has images of class 0 and of class 1",
    ),
    "patient of two classes": (
        rows(("1a.png", "1", 1, "PTC"), ("1b.png", "1", 0, "FA"), *ROWS[2:]),
        {},
        "Patient '1' has images of class 0 and of class 1 and no case column",
    ),
    "case of two patients": (
        rows(("1a.png", "1", 1, "k"), ("1b.png", "5", 1, "k"), ("2a.png", "2", 0, ""), ("3a.png", "3", 0, ""),
             columns=CASES),
        {},
        "Case 'k' belongs to 2 patients",
    ),
    "site without um/px": (None, {"mpp": {"Hospitl": "0.5"}}, r"'Hospital' has no um/px \(stated: Hospitl\)"),
    "um/px in words": (None, {"mpp": {"Hospital": "40x"}}, "--mpp Hospital=40x is not um/px"),
    "study um/px": (None, {"study_mpp": -1.0}, "tile.study_mpp is -1.0: give a number, 0.01 to 100"),
    "target um/px": (None, {"target_mpp": -1.0}, "--target-mpp -1 is not um/px"),
    "unknown policy": (None, {"small": {"Elsewhere": "stretch"}}, "--small Elsewhere=stretch is not known"),
    "unknown tile-level site": (None, {"tile_level": ["Turin"], "blind": True}, "--tile-level names the site 'Turin'"),
    "too many label files": (None, {"labels": ["", ""]}, r"--labels names 2 for 1 source folder\(s\)"),
    "too many sites": (None, {"sites": ["A", "B"]}, r"--sites names 2 for 1 source folder\(s\)"),
    "other site": (
        rows(*((*row, "Rome") for row in ROWS), columns=("file", "patient", "class", "diagnosis", "site")),
        {"sites": ["Turin"]},
        "name the site 'Rome', but --sites names 'Turin'",
    ),
    "small tile": (None, {"tile_px": 8}, "tile.tile_px is 8: give a whole number, at least 16"),
    "small resolution": (None, {"resolution": 2}, "tile.resolution is 2: give a whole number, at least 4"),
    "small image": (in_place("1b.png", width=15), {}, "15x24 px is smaller than a tile of 16 px; .*--small Hospital="),
    "truncated": (truncated, {}, r"1b.jpeg cannot be read \(image file is truncated"),
    "no image": (lambda f: (f / "images" / "1b.png").write_text("text"), {}, "1b.png cannot be read"),
    "grey": (as_mode("L"), {}, r"grey \(mode L\)"),
    "RGBA": (as_mode("RGBA"), {}, r"RGB with alpha \(mode RGBA\)"),
    "palette": (as_mode("P"), {}, r"\(mode P\)"),
    "16-bit grey": (as_mode("I;16"), {}, r"16-bit grey \(mode I;16\)"),
    "CMYK": (as_cmyk, {}, r"\(mode CMYK\)"),
    "16-bit RGB": (as_16_bit_rgb, {}, "has 16 bits per channel"),
    "empty file": (lambda f: (f / "images" / "1b.png").write_bytes(b""), {}, r"1b.png cannot be read \(it is empty\)"),
    "another suffix": (as_jpeg_named_png, {}, "1b.png is a JPEG image, not the PNG that its name says"),
    "decompression bomb": (as_png(60000, 60000), {}, "1b.png claims more than 178 million pixels"),
    "no pixels": (as_png(0, 24), {}, "1b.png cannot be read"),
    "header alone": (as_png(40, 24), {}, "1b.png cannot be read"),
    "the same image twice": (as_copy, {}, "3a.png has the same content as .*2a.png"),
    "names that look alike": (as_twins_by_name, {}, "two images whose names differ in their encoding only"),
    "label that is no number": (rows(("1a.png", "1", "nan", "PTC"), *ROWS[1:]), {}, "1a.png has the label 'nan'"),
    "JSON label that is no number": (with_json(labels=[["1a.png", float("nan")]]), {}, "1a.png has the label 'nan'"),
    "broken slide": (as_slide, {"study_mpp": 0.5}, r"1b.svs cannot be read as a slide \(Unsupported"),
    "field that is to say its um/px": (None, {"mpp": {"*": "metadata"}}, "1a.png is not a slide with um/px of"),
    "unknown filter": (None, {"slide_filter": "thygan"}, "tile.slide_filter is 'thygan': give one of none, reference"),
    "filter of nothing": (None, {"slide_filter": "reference-band", "blind": True}, "tile set by --reference and"),
    "tiles of a slide": (None, {"slide_tiles": -1}, "tile.slide_tiles is -1: give a whole number, at least 0"),
    "share of tissue": (None, {"min_tissue": 50.0}, "tile.min_tissue is 50.0: give a number, 0 to 1"),
    "store of another kind": (None, {"sources": ["gs://bucket/x"]}, "'gs://bucket/x' is not the address of a store"),
    "bucket without name": (None, {"sources": ["s3://"]}, "has no bucket name"),
    "pages": (as_pages, {}, "holds 2 images, not one"),
    "nothing left": (None, {"tile_px": 64, "small": {"*": "skip"}}, "No image of site 'Hospital' gave a tile"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "options", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_nothing_is_written(tmp_path, folder, change, options, message):
    if change:
        change(folder)
    options = dict(options)
    with pytest.raises(ThyganError, match=message):
        tile(tmp_path / "out", *options.pop("sources", [folder]), **options)
    out = tmp_path / "out"
    assert not out.exists() or not list(out.iterdir())


def test_magnifications_are_not_mixed(tmp_path):
    sources = make_folder(tmp_path / "A"), make_folder(tmp_path / "B", [("9a.png", "9", 0, "FA")])
    with pytest.raises(ThyganError, match=r"Magnifications are mixed \(A 0.25, B 0.5 um/px\).*--study-mpp"):
        tile(tmp_path, *sources, mpp={"A": "0.25", "B": "0.5"})


def test_no_study_key(tmp_path, folder, monkeypatch):
    monkeypatch.delenv("THYGAN_STUDY_KEY")
    with pytest.raises(ThyganError, match=r"No study key.* create the Secret thygan-study-key"):
        tile(tmp_path, folder)


OF_ONE_IMAGE = [
    "truncated", "no image", "grey", "RGBA", "palette", "16-bit grey", "CMYK", "16-bit RGB", "pages", "empty file",
    "another suffix", "decompression bomb", "no pixels", "header alone", "the same image twice", "broken slide",
]  # fmt: skip


@pytest.mark.parametrize("case", OF_ONE_IMAGE)
def test_bad_image_is_left_out_and_listed_where_that_is_said(tmp_path, folder, case):
    change, options, _ = BAD[case]
    change(folder)
    with pytest.raises(ThyganError) as refusal:
        tile(tmp_path / "out", folder, **options)
    out = tile(tmp_path / "out", folder, skip_bad=True, **options)
    [skipped] = json.loads(out["tile_record"].read_text())["tables"]["skipped"]
    assert f"{skipped['file']} {skipped['why']}: repair" in str(refusal.value)
    with ImageArchive(out["tiles"]) as archive:
        sources = set(archive.manifest["source"])
    assert len(sources) == 3 and skipped["file"] not in sources
