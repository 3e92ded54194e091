import json
import shutil

import pytest
from PIL import Image
from pyramid import tissue, write_slide
from tile_folder import ROWS, check_folder, make_folder, write_csv, write_image, write_json

from components.tile.check import text_report

FILES = [row[0] for row in ROWS]


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "Hospital")


def test_counts(folder):
    found = check_folder(folder)
    assert (found["images"], found["patients"], found["cases"]) == (4, 3, 3)
    assert found["classes"] == [{"name": "0", "images": 2, "patients": 2}, {"name": "1", "images": 2, "patients": 1}]
    assert found["sites"] == [{"name": "Hospital", "images": 4, "patients": 3, "mpp": "not stated"}]
    assert found["sizes"] == [{"width": 40, "height": 24, "images": 4, "slides": False}]
    assert found["problems"] == []
    assert "Hospital" in text_report(json.loads(json.dumps(found)))


def test_every_problem_is_told_at_once(folder):
    write_csv(folder / "meta.csv", [(file, "", label, name) for file, _, label, name in ROWS])
    Image.new("L", (40, 24)).save(folder / "images" / "1b.png")
    problems = check_folder(folder, tile_px=512, mpp={})["problems"]
    assert [sentence for sentence in problems if "have no patient" in sentence]
    assert [sentence for sentence in problems if "has no um/px" in sentence]
    assert [sentence for sentence in problems if "1b.png is grey" in sentence]
    assert len(problems) == 3


def test_unusable_labels_are_told_as_the_only_problem(tmp_path, folder):
    (folder / "meta.csv").unlink()
    found = check_folder(folder)
    assert found["images"] == 0
    assert "has no label file" in found["problems"][0]
    assert "would be refused" in text_report(found)


def test_oddities(folder):
    write_image(folder / "images" / "3a.png", 12, 12)
    rows = [("1a.png", "1", 1, "PTC", "k"), ("1b.png", "1", 0, "PTC", "m"), *((*row, "") for row in ROWS[2:])]
    write_csv(folder / "meta.csv", rows, ("file", "patient", "class", "diagnosis", "case"))
    warnings = " ".join(check_folder(folder)["warnings"])
    for sentence in (
        "Diagnosis 'PTC' is labelled both 0 and 1",
        "1 patient(s) have cases of both classes",
        "Class 1 has only 1 patient(s)",
        "2 patient(s) have one image only",
        "1 image(s) are smaller than a tile of 16 px",
    ):
        assert sentence in warnings


def test_patients_of_names_are_shown_with_their_pattern(tmp_path):
    for seed, name in enumerate(("100a.jpeg", "100b.jpeg", "7a.jpeg")):
        write_image(tmp_path / "s" / name, seed=seed)
    write_json(tmp_path / "s" / "labels.json", labels=[["100a.jpeg", 1], ["100b.jpeg", 1], ["7a.jpeg", 0]])
    found = check_folder(tmp_path / "s")
    assert "--patient-pattern tharun-thompson" in found["patient_names"]["from"]
    assert "tharun-thompson (which fits these names)" in found["problems"][0]
    found = check_folder(tmp_path / "s", patient_pattern="tharun-thompson")
    assert found["problems"] == [] and found["patients"] == 2
    assert found["patient_names"]["examples"][0] == {"file": "100a.jpeg", "patient": "100"}
    assert "100a.jpeg" in text_report(found)


def test_one_number_at_two_sites_and_one_image_under_two_names(folder):
    write_csv(
        folder / "meta.csv",
        [(file, "1", 1, f"D{file}", site, f"k{file}") for file, site in zip(FILES, "AABB", strict=True)],
        ("file", "patient", "class", "diagnosis", "site", "case"),
    )
    shutil.copy(folder / "images" / "1a.png", folder / "images" / "3a.png")
    found = check_folder(folder)
    assert any("1 patient number(s) are used at more than one site" in sentence for sentence in found["warnings"])
    assert [sentence for sentence in found["problems"] if "3a.png has the same content as" in sentence]
    assert found["patients"] == 2


def test_slides_tell_their_magnification(tmp_path):
    pytest.importorskip("openslide", reason="skipped: no openslide")
    pixels = tissue(256, 128, [(0, 0, 200, 128)])
    write_slide(tmp_path / "s" / "a.svs", pixels, mpp=0.25)
    write_slide(tmp_path / "s" / "b.svs", pixels[:, ::-1], description="Aperio Image Library v1\r\n|AppMag = 20")
    write_slide(tmp_path / "s" / "c.svs", pixels[::-1])
    (tmp_path / "s" / "d.svs").write_text("no slide")
    write_csv(tmp_path / "s" / "meta.csv", [(f"{name}.svs", name, 1, "PTC") for name in "abcd"])
    found = check_folder(tmp_path / "s", mpp={}, tile_px=64)
    assert {row["name"] for row in found["magnifications"]} == {
        "0.25 um/px (metadata)",
        "0.5 um/px (objective 20x)",
        "no um/px",
    }
    assert len(found["problems"]) == 1 and "d.svs cannot be read as a slide" in found["problems"][0]
    warnings = " ".join(found["warnings"])
    assert "1 slide(s) state no um/px: it is derived from their objective's power" in warnings
    assert "1 slide(s) state neither um/px nor objective" in warnings
