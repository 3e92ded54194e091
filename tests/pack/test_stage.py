"""Packing: who is in, under which class, in which form."""

import json
import zipfile

import numpy as np
import pytest

from components.core.archive import ArchiveWriter, ImageArchive
from components.core.errors import ThyganError
from components.core.lineage import Lineage, identity, key_id
from components.core.results import RECORDS
from components.core.splits import SplitPlan
from components.pack.stage import run

KEY = b"a study key for tests"
NAMES = {"FA": 0, "FTC": 0, "PTC": 1, "NIFTP": 1}
PATIENTS = {str(i): name for i, name in enumerate(["FA", "PTC", "FTC", "NIFTP"] * 3)}
TILES_EACH = 2


def who(patient, key=KEY):
    return identity(key, "Home", patient)


def write_tiles(path, patients=PATIENTS, side=8, key=KEY, blind=False):
    rng = np.random.default_rng(0)
    with ArchiveWriter(path) as archive:
        for patient, name in patients.items():
            row = {"patient": patient, "case": patient, "site": "Home", "identity": who(patient, key)}
            row |= {} if blind else {"label": NAMES[name], "diagnosis": name}
            for x in range(TILES_EACH):
                archive.add(
                    rng.integers(0, 256, (side, side, 3), np.uint8), {**row, "source": f"{patient}.png", "x": x}
                )
        archive.add(
            np.zeros((side, side, 3), np.uint8), {"site": "Turin", "label": None if blind else 1, "diagnosis": "B"}
        )
        archive.attach(RECORDS, [{"stage": "tile"}])
    return path


def write_plan(path, train, val, test, key=KEY):
    parts = {"train": train, "val": val, "test": test}
    fold = {part: sorted(who(str(one), key) for one in ones) for part, ones in parts.items()}
    SplitPlan(key_id(key), {"0": fold}, "by hand").write(path)
    return path


@pytest.fixture
def tiles(tmp_path):
    return write_tiles(tmp_path / "tiles.zip")


@pytest.fixture
def plan(tmp_path):
    return write_plan(tmp_path / "plan.json", range(6), range(6, 8), range(8, 12))


@pytest.fixture
def pack(tmp_path):
    def start(tiles, plan, **options):
        paths = {name: tmp_path / name for name in ("dataset", "held_out", "metrics")}
        run(tiles=str(tiles), plan=str(plan), **{n: str(p) for n, p in paths.items()}, **{"fold": "0", **options})
        return paths

    return start


def test_training_and_validation_patients_are_packed_apart(tiles, plan, pack):
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


def test_binary_classes_are_the_labels(tiles, plan, pack):
    with ImageArchive(pack(tiles, plan)["dataset"]) as archive:
        assert archive.attachment("classes.json") == [
            {"index": 0, "name": "FA+FTC", "label": 0},
            {"index": 1, "name": "NIFTP+PTC", "label": 1},
        ]
        assert list(archive.manifest["label"]) == [NAMES[name] for name in archive.manifest["diagnosis"]]


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
    counted = json.loads(out["metrics"].read_text())["tables"]["classes"]
    assert [(one["tiles"], one["held_out"]) for one in counted] == [(4, 0), (2, 2), (2, 2), (4, 0)]


def test_form_is_stylegans(tiles, plan, pack):
    with zipfile.ZipFile(pack(tiles, plan)["dataset"]) as archive:
        images = [one for one in archive.infolist() if one.filename.endswith(".png")]
        assert [one.filename for one in images[:2]] == ["00000/img00000000.png", "00000/img00000001.png"]
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
        # stored, not deflated: the IDAT chunk holds 8 rows of 1 + 24 bytes and the 11 bytes of zlib's frame
        assert int.from_bytes(archive.read(images[0].filename)[33:37]) == 8 * 25 + 11


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
        bad("key", "nothing can be proven disjoint", tiles={"key": b"the key of another study"}),
        bad("stranger", "1 patients of the tiles are in no part of the plan", plan=STRANGER),
        bad("absent", "1 patients of fold 0 have no tile", plan=MORE),
        bad("blind", "tiles without a label", tiles={"blind": True}),
        bad("nobody", "names no patient", tiles={"patients": {}}),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(tmp_path, pack, tiles, plan, options, message):
    there = [write_tiles(tmp_path / "tiles.zip", **tiles), write_plan(tmp_path / "plan.json", **(plan or PLAN))]
    with pytest.raises(ThyganError, match=message):
        pack(*there, **options)
    assert sorted(tmp_path.iterdir()) == sorted(there)


def test_binary_scheme_needs_no_single_diagnosis(tmp_path, tiles, pack):
    assert pack(tiles, write_plan(tmp_path / "plan.json", **WITHOUT_FTC))["dataset"].exists()
