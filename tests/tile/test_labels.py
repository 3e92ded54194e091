import pytest
from tile_folder import write_csv, write_json

from components.core.errors import DataError
from components.tile.image_sources import FolderSource
from components.tile.labels import LabelFile, find_labels, merge_labels, read_label_files


def said(*paths):
    return merge_labels(LabelFile(str(path), path.read_bytes()) for path in paths)


def found(folder):
    return find_labels(FolderSource(folder))


def names(files):
    return [file.where.rpartition("/")[2] for file in files]


def test_forms_say_the_same(tmp_path):
    meta = [["1a.jpeg", 1, "1", "PTC"], ["2a.jpeg", 0, 2, "FA"]]
    write_json(tmp_path / "thygan.json", labels=[[row[0], row[1]] for row in meta], meta=meta)
    write_json(tmp_path / "meta.json", meta=meta)
    write_csv(tmp_path / "rows.csv", [(file, patient, label, name) for file, label, patient, name in meta])
    expected = {
        "1a.jpeg": {"label": "1", "patient": "1", "case": "", "diagnosis": "PTC", "site": ""},
        "2a.jpeg": {"label": "0", "patient": "2", "case": "", "diagnosis": "FA", "site": ""},
    }
    for name in ("thygan.json", "meta.json", "rows.csv"):
        assert said(tmp_path / name) == expected


def test_csv_fills_in_what_the_json_beside_it_lacks(tmp_path):
    write_json(tmp_path / "labels.json", labels=[["1a.jpeg", 1]])
    write_csv(tmp_path / "meta.csv", [("1a.jpeg", "7", "7x", "1.0")], ("file", "patient", "case", "label"))
    assert names(found(tmp_path)) == ["labels.json", "meta.csv"]
    assert read_label_files(str(tmp_path / "labels.json")) == found(tmp_path)
    row = merge_labels(found(tmp_path))["1a.jpeg"]
    assert (row["label"], row["patient"], row["case"]) == ("1", "7", "7x")


def test_json_with_patients_stands_alone(tmp_path):
    write_json(tmp_path / "labels.json", meta=[["1a.jpeg", 1, "1", "PTC"]])
    write_csv(tmp_path / "meta.csv", [("1a.jpeg", "7", "0", "FA")])
    assert names(read_label_files(str(tmp_path / "labels.json"))) == ["labels.json"]


@pytest.mark.parametrize("missing", ["", "unknown", "nan", "None", "NA"])
def test_missing_patients_are_empty(tmp_path, missing):
    write_csv(tmp_path / "meta.csv", [("1a.jpeg", missing, "1", "PTC")])
    assert said(tmp_path / "meta.csv")["1a.jpeg"]["patient"] == ""


def test_names_of_other_systems_are_read(tmp_path):
    (tmp_path / "meta.csv").write_bytes('﻿file,class\r\n"images\\1a.jpeg",1\r\n'.encode())
    assert list(said(tmp_path / "meta.csv")) == ["images/1a.jpeg"]


def test_contradiction_names_both_files(tmp_path):
    write_json(tmp_path / "labels.json", labels=[["1a.jpeg", 1]])
    write_csv(tmp_path / "meta.csv", [("1a.jpeg", "7", "0", "FA")])
    with pytest.raises(DataError, match=r"label '1' in .*labels\.json and '0' in .*meta\.csv"):
        merge_labels(found(tmp_path))
    write_json(tmp_path / "labels.json", labels=[["1a.jpeg", 1]], meta=[["1a.jpeg", 0, "1", "FA"]])
    with pytest.raises(DataError, match=r"\(labels\) and '0' in .*\(meta\)"):
        said(tmp_path / "labels.json")


@pytest.mark.parametrize("text", ["", "[]", '{"labels": null}', '{"labels": [["a"]]}', '{"meta": [["a", 1]]}', "{"])
def test_other_json_is_no_label_file(tmp_path, text):
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(DataError, match="cannot be read as labels"):
        said(tmp_path / "labels.json")


@pytest.mark.parametrize("content", [b"name,class\na,1\n", b"file,grade\na,1\n", b"\xff\xfe\x00"])
def test_other_csv_is_no_label_file(tmp_path, content):
    (tmp_path / "meta.csv").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as labels"):
        said(tmp_path / "meta.csv")


def test_labels_lie_in_the_images_folder_or_beside_it(tmp_path):
    write_csv(tmp_path / "meta.csv", [("1a.jpeg", "7", "0", "FA")])
    (tmp_path / "images").mkdir()
    assert names(found(tmp_path)) == ["meta.csv"]
    write_json(tmp_path / "images" / "labels.json", labels=[["1a.jpeg", 1]])
    assert names(found(tmp_path)) == ["labels.json"]


def test_umlauts_match_however_they_are_encoded(tmp_path):
    write_csv(tmp_path / "meta.csv", [("Mu\u0308ller.png", "7", "0", "FA")])
    assert list(said(tmp_path / "meta.csv")) == ["M\u00fcller.png"]
