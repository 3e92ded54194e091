"""Packing: who is in, under which class, in which form."""

import json
import zipfile

import numpy as np
import pytest

from components.core.data.archive import ImageArchive
from components.core.data.file_names import RECORDS
from components.core.errors import ThyganError
from components.core.protocol.lineage import Lineage
from components.core.protocol.split_plan import SplitPlan

TILES_EACH = 2


def test_training_and_validation_patients_are_packed_apart(tiles, plan, pack, who):
    out = pack(tiles, plan)
    for name, patients in (("dataset", range(6)), ("held_out", range(6, 8))):
        with ImageArchive(out[name]) as archive, ImageArchive(tiles) as source:
            assert list(archive.manifest["patient"]) == [str(one) for one in patients for _ in range(TILES_EACH)]
            rows = source.manifest[source.manifest["patient"].isin([str(one) for one in patients])]
            for new, old in zip(archive.manifest["file"], rows["file"], strict=True):
                assert np.array_equal(archive.read(new), source.read(old))
            lineage = Lineage.from_dict(archive.attachment("lineage.json"))
            assert lineage.patients == sorted(who(str(one)) for one in patients)
            read = SplitPlan.read(plan)
            assert (lineage.key_id, lineage.plan, lineage.fold) == (read.key_id, read.digest, "0")
            assert [one["stage"] for one in archive.attachment(RECORDS)] == ["tile", "pack"]


def test_binary_classes_are_the_labels(tiles, plan, pack, names):
    with ImageArchive(pack(tiles, plan)["dataset"]) as archive:
        assert archive.attachment("classes.json") == [
            {"index": 0, "name": "FA+FTC", "label": 0},
            {"index": 1, "name": "NIFTP+PTC", "label": 1},
        ]
        assert list(archive.manifest["label"]) == [names[name] for name in archive.manifest["diagnosis"]]


def test_diagnosis_classes_stand_in_alphabetical_order(tiles, plan, pack):
    out = pack(tiles, plan, scheme="diagnosis")
    with ImageArchive(out["dataset"]) as archive:
        classes = archive.attachment("classes.json")
        assert [(one["index"], one["name"], one["label"]) for one in classes] == [
            (0, "FA", 0),
            (1, "FTC", 0),
            (2, "NIFTP", 1),
            (3, "PTC", 1),
        ]
        assert [classes[label]["name"] for label in archive.manifest["label"]] == list(archive.manifest["diagnosis"])
        labels = archive.attachment("dataset.json")["labels"]
        assert labels == [[f, int(n)] for f, n in zip(archive.manifest["file"], archive.manifest["label"], strict=True)]
    counted = json.loads(out["pack_record"].read_text())["tables"]["classes"]
    assert [(one["tiles"], one["held_out"]) for one in counted] == [(4, 0), (2, 2), (2, 2), (4, 0)]
    # the record names the classes in words, too
    assert json.loads(out["pack_record"].read_text())["classes"] == "0 = FA, 1 = FTC, 2 = NIFTP, 3 = PTC"


def test_form_is_stylegans(tiles, plan, pack):
    with zipfile.ZipFile(pack(tiles, plan)["dataset"]) as archive:
        images = [one for one in archive.infolist() if one.filename.endswith(".png")]
        assert [one.filename for one in images[:2]] == ["00000/img00000000.png", "00000/img00000001.png"]
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
        # stored, not deflated: the IDAT chunk holds 8 rows of 1 + 24 bytes and the 11 bytes of zlib's frame
        assert int.from_bytes(archive.read(images[0].filename)[33:37]) == 8 * 25 + 11


def test_stored_and_compressed_tiles_are_packed_alike(tmp_path, plan, pack, write_tiles):
    packed = []
    for level in (0, 1, 9):
        out = pack(write_tiles(tmp_path / "tiles.zip", side=256, level=level), plan)
        with ImageArchive(out["dataset"]) as one, ImageArchive(out["held_out"]) as other:
            packed.append([[archive.read_bytes(file) for file in archive.manifest["file"]] for archive in (one, other)])
    assert packed[0] == packed[1] == packed[2]
    assert [len(part) for part in packed[0]] == [12, 4]


def bad(name, message, tiles=None, plan=None, **options):
    return pytest.param(tiles or {}, plan or {}, options, message, id=name)


PLAN = {"train": range(6), "val": range(6, 8), "test": range(8, 12)}
WITHOUT_FTC = {"train": [0, 1, 3, 4, 5], "val": [2, 6, 7], "test": range(8, 12)}
STRANGER = {"train": range(6), "val": range(6, 8), "test": range(8, 11)}
MORE = {"train": [*range(6), 77], "val": range(6, 8), "test": range(8, 12)}


@pytest.mark.parametrize(
    ("tiles", "plan", "options", "message"),
    [
        bad("scheme", "--scheme 'grade' is not known", scheme="grade"),
        bad("fold", "no fold '7'; it has 0", fold="7"),
        bad("class", "Class 'FTC' has no tile of a training patient in fold 0", plan=WITHOUT_FTC, scheme="diagnosis"),
        bad("side", "tiles of 12 px: the GAN needs a power of two .* --resolution 8", tiles={"side": 12}),
        bad("key", "they cannot be compared", tiles={"key": b"the key of another study"}),
        bad("stranger", "1 patients of the tiles are in no part of the plan", plan=STRANGER),
        bad("absent", "1 patients of fold 0 have no tile", plan=MORE),
        bad("blind", "tiles without a label", tiles={"blind": True}),
        bad("two sizes", "is 4x4 px and the first tile 8x8", tiles={"also": [("0", np.zeros((4, 4, 3), np.uint8))]}),
        bad("stored, two sizes", "is 4x4 px and", tiles={"also": [("0", np.zeros((4, 4, 3), np.uint8))], "level": 0}),
        bad("stored, turned", "is 16x4 px and", tiles={"also": [("0", np.zeros((4, 16, 3), np.uint8))], "level": 0}),
        bad("oblong", "is 4x8 px and the first tile 8x8", tiles={"also": [("0", np.zeros((8, 4, 3), np.uint8))]}),
        bad("nobody", "names no patient", tiles={"patients": {}}),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    tmp_path, pack, write_tiles, write_plan, tiles, plan, options, message
):
    there = [write_tiles(tmp_path / "tiles.zip", **tiles), write_plan(tmp_path / "plan.json", **(plan or PLAN))]
    with pytest.raises(ThyganError, match=message):
        pack(*there, **options)
    assert sorted(tmp_path.iterdir()) == sorted(there)


def test_binary_scheme_needs_no_single_diagnosis(tmp_path, tiles, pack, write_plan):
    assert pack(tiles, write_plan(tmp_path / "plan.json", **WITHOUT_FTC))["dataset"].exists()
