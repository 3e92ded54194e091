import json

import pytest
from PIL import Image
from tile_folder import ROWS, make_folder, write_csv, write_image

from components.tile.check import as_text, check


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "Hospital")


def test_counts(folder):
    found = check(str(folder), tile_px=16)
    assert (found["images"], found["patients"], found["cases"]) == (4, 3, 3)
    assert found["classes"] == [{"name": "0", "images": 2, "patients": 2}, {"name": "1", "images": 2, "patients": 1}]
    assert found["sites"] == [{"name": "Hospital", "images": 4, "patients": 3, "mpp": "not stated"}]
    assert found["sizes"] == [{"width": 40, "height": 24, "images": 4}]
    assert found["problems"] == []
    assert "Hospital" in as_text(json.loads(json.dumps(found)))


def test_every_problem_is_told_at_once(folder):
    write_csv(folder / "meta.csv", [(file, "", label, name) for file, _, label, name in ROWS])
    Image.new("L", (40, 24)).save(folder / "images" / "1b.png")
    problems = check(str(folder), mpp={})["problems"]
    assert [sentence for sentence in problems if "have no patient" in sentence]
    assert [sentence for sentence in problems if "has no um/px" in sentence]
    assert [sentence for sentence in problems if "1b.png is grey" in sentence]
    assert len(problems) == 3


def test_unusable_labels_are_told_as_the_only_problem(tmp_path, folder):
    (folder / "meta.csv").unlink()
    found = check(str(folder))
    assert found["images"] == 0
    assert "has no label file" in found["problems"][0]
    assert "would be refused" in as_text(found)


def test_oddities(folder):
    write_image(folder / "images" / "3a.png", 12, 12)
    rows = [("1a.png", "1", 1, "PTC", "k"), ("1b.png", "1", 0, "PTC", "m"), *((*row, "") for row in ROWS[2:])]
    write_csv(folder / "meta.csv", rows, ("file", "patient", "class", "diagnosis", "case"))
    odd = " ".join(check(str(folder), tile_px=16)["odd"])
    for sentence in (
        "Diagnosis 'PTC' is labelled both 0 and 1",
        "1 patient(s) have cases of both classes",
        "Class 1 has only 1 patient(s)",
        "2 patient(s) have one image only",
        "1 image(s) are smaller than a tile of 16 px",
    ):
        assert sentence in odd
