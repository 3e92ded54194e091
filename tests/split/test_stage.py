"""The stage: plans that hold together, and refusals."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from components.core.errors import LeakageError, ThyganError
from components.core.options.fields import describe_options
from components.core.options.parse import parse
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import identity, key_id
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import ARMS, StudyPlan
from components.split.options import SHARED, SplitOptions
from components.split.stage import run, work_items

GLAS = Path(__file__).parents[3] / "shared/data/glas"
NAMES = {"FA": 0, "FTC": 0, "PTC": 1, "NIFTP": 1}
ROWS = [
    (f"{i}{letter}.jpeg", NAMES[name], str(i), str(i), name)
    for i, name in enumerate(["FA", "PTC", "FTC", "NIFTP"] * 4)
    for letter in "ab"
]


@pytest.fixture
def split(tmp_path):
    def start(path, **options):
        paths = {name: tmp_path / f"{name}.json" for name in ("plan", "study", "split_record")}
        files = {name: str(one) for name, one in paths.items()}
        direct = {name: options.pop(name) for name in ("seed", "external_sites") if name in options}
        shared = parse(SharedOptions, {name: options.pop(name) for name in SHARED if name in options}, "shared")
        group = parse(SplitOptions, {"folds": 3, **options}, "split")
        items = run(manifest=str(path), **files, **direct, options=group, shared=shared)
        return (*items, paths)

    return start


@pytest.fixture
def glas(manifest):
    if not GLAS.is_dir():
        pytest.skip("skipped: no ../shared/data/glas")
    meta = pd.read_csv(GLAS / "meta.csv", dtype=str)
    return manifest(meta[["file", "class", "patient", "case", "diagnosis"]].to_numpy().tolist())


def test_plans_are_written_and_read_back(manifest, split, who):
    final, folds, paths = split(manifest(ROWS), demonstration=True, seed=5, external_sites=["Far"], tile_level=["Far"])
    plan, study = SplitPlan.read(paths["plan"]), StudyPlan.read(paths["study"])
    assert plan.key_id == who("1").partition("-")[0]
    assert plan.test_folds == ["0", "1", "2"]
    assert plan.part("all") == {who(str(i)) for i in range(16)}
    assert study.class_map == NAMES
    assert (study.demonstration, study.external_sites, study.tile_level_sites) == (True, ["Far"], ["Far"])
    assert study.seeds == [0, 1, 2]
    arms = ["none", "stain-aug", "bi100", "bi100-real"]
    assert final == [{"scheme": "binary", "fold": "all", "arms": arms}]
    assert folds == [{"scheme": "binary", "fold": fold, "arms": arms} for fold in "012"]


def test_record_counts_patients_cases_and_tiles(manifest, split):
    *_, paths = split(manifest(ROWS))
    record = json.loads(paths["split_record"].read_text())
    assert (record["patients"], record["cases"], record["folds"]) == (16, 16, 3)
    by_fold = pd.DataFrame(record["tables"]["folds"])
    assert set(by_fold.columns) == {"fold", "part", "patients", "cases", "tiles", "class0", "class1"}
    totals = by_fold.groupby("fold")[["patients", "tiles", "class0", "class1"]].sum()
    assert totals.to_numpy().tolist() == [[16, 32, 8, 8]] * 4


def test_same_seed_gives_the_same_plan(manifest, split):
    path = manifest(ROWS)
    first = split(path, seed=3)[2]["plan"].read_text()
    assert split(path, seed=3)[2]["plan"].read_text() == first
    assert split(path, seed=4)[2]["plan"].read_text() != first


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        (["none", "bi100", "mc", "mc-real"], {"binary": ["none", "bi100"], "diagnosis": ["mc", "mc-real"]}),
        (["none", "stain-norm", "mc100"], {"diagnosis": ["none", "stain-norm", "mc100"]}),
        (["none", "bi200-real", "mc"], {"binary": ["none", "bi200-real"], "diagnosis": ["mc"]}),
    ],
)
def test_arms_without_generator_never_cause_a_training(arms, expected):
    assert {one["scheme"]: one["arms"] for one in work_items(arms, ["all"])} == expected
    assert [one["fold"] for one in work_items(arms, ["0", "1"])] == ["0", "1"] * len(expected)


def test_glas_splits_by_person(glas, split):
    *_, paths = split(glas, folds=5)
    plan = SplitPlan.read(paths["plan"])
    assert sorted(len(plan.part(fold, "test")) for fold in plan.test_folds) in ([1, 1, 1, 2, 2], [1, 1, 1, 1, 3])
    assert len(plan.part("all")) == 7


def test_glas_lists_are_imported(glas, split, who):
    *_, paths = split(glas, import_splits=str(GLAS / "cv_splits"))
    plan = SplitPlan.read(paths["plan"])
    assert plan.folds["0"] == {
        "train": sorted(who(one) for one in ("2", "3", "4", "7", "9")),
        "val": [who("11")],
        "test": [who("10")],
    }
    assert plan.notes == ()
    assert plan.origin.startswith("imported from cv_splits: 0, 1, 2, 3, 4; fold all")


def test_cases_100_and_101_are_one_person(glas, split, tmp_path):
    lists = tmp_path / "cv0_split.json"
    lists.write_text(json.dumps({"train": [21, 30, 31, 40, 41, 100], "val": [110, 111], "test": [101, 71, 90]}))
    with pytest.raises(LeakageError, match="has 100 in train and 101 in test"):
        split(glas, import_splits=str(lists))


def test_imported_list_of_files_leaves_cross_validation_to_the_seed(manifest, split, tmp_path, who):
    lists = tmp_path / "data_split_0.json"
    val = {"0a.jpeg", "0b.jpeg", "1a.jpeg", "1b.jpeg"}
    lists.write_text(json.dumps({"train": [row[0] for row in ROWS if row[0] not in val], "val": sorted(val)}))
    *_, paths = split(manifest(ROWS), import_splits=str(lists))
    plan = SplitPlan.read(paths["plan"])
    assert plan.folds["all"]["val"] == sorted([who("0"), who("1")])
    assert plan.test_folds == ["0", "1", "2"]


def test_tiles_without_patient_take_no_part(manifest, split):
    *_, paths = split(manifest([*ROWS, ("x.jpeg", 0, "", "", "FA")]))
    plan = SplitPlan.read(paths["plan"])
    assert len(plan.part("all")) == 16
    assert plan.notes == ("1 tiles of Home have no patient and take no part.",)


@pytest.mark.parametrize(
    ("mpp", "mark"),
    [("", "The um/px of Home is unknown."), ([0.5] * 31 + [0.25], "Some images of Home were enlarged")],
)
def test_um_per_px_marks_the_study(manifest, split, mpp, mark):
    *_, paths = split(manifest(ROWS, mpp=mpp))
    [given] = StudyPlan.read(paths["study"]).marks
    assert given.startswith(mark)


def test_help_names_every_arm():
    [arms] = [info for info in describe_options(SplitOptions) if info.name == "arms"]
    named = set(re.findall(r"[a-z0-9-]+", arms.help.partition("Known:")[2])) - {"and", "the", "controls"}
    assert named == {*ARMS, *(f"{arm}-real" for arm, scheme in ARMS.items() if scheme)}


BAD = {
    "arm": ({"arms": ["none", "bi300"]}, "There is no arm 'bi300'"),
    "no baseline": ({"arms": ["bi100"]}, "add it to the arms"),
    "folds": ({"folds": 9}, r"Class 0 has 8 patient\(s\), too few for 9 folds"),
    "val fraction": ({"val_fraction": 0.0}, "split.val_fraction is 0.0: give a number, above 0 to 0.5"),
    "seeds": ({"classifier_seeds": 0}, "split.classifier_seeds is 0: give a whole number, at least 1"),
    "vote": ({"vote": "loudest"}, "split.vote is 'loudest': give one of majority, probability"),
    "threshold": ({"threshold": "0.7"}, "split.threshold is '0.7': give one of 0.5, youden"),
    "difference": ({"relevant_difference": 0.0}, "split.relevant_difference is 0.0: give a number, above 0 to 1"),
    "own site": ({"external_sites": ["Home"]}, "Site 'Home' is the study's own"),
    "tile-level site": ({"external_sites": ["Far"], "tile_level": ["Near"]}, "--tile-level names 'Near'"),
    "no lists": ({"import_splits": "/nowhere"}, "/nowhere has no split file"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_one_sentence_and_nothing_is_written(manifest, split, tmp_path, options, message):
    path = manifest(ROWS)
    with pytest.raises(ThyganError, match=message):
        split(path, **options)
    assert list(tmp_path.iterdir()) == [path]


def test_imported_fold_without_a_class(manifest, split, tmp_path):
    (tmp_path / "cv0_split.json").write_text(json.dumps({"train": [0, 1, 2, 3], "val": [4], "test": [5, 6]}))
    with pytest.raises(ThyganError, match="has no patient of class 1 in its val list"):
        split(manifest(ROWS), import_splits=str(tmp_path / "cv0_split.json"))


def test_patients_in_no_list_at_all(manifest, split, tmp_path):
    (tmp_path / "cv0_split.json").write_text(json.dumps({"train": [0, 1], "val": [2, 3], "test": [4, 5]}))
    files = {"train": ["0a.jpeg", "1a.jpeg"], "val": ["2a.jpeg", "3a.jpeg"]}
    (tmp_path / "data_split_0.json").write_text(json.dumps(files))
    with pytest.raises(ThyganError, match=r"10 patient\(s\) are in no list of .* at all, cases 10, 11"):
        split(manifest(ROWS), import_splits=str(tmp_path))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"identity": ""}, "names no patient"),
        ({"label": ""}, "tiles without a label"),
        ({"label": 1}, "Every patient is of class 1"),
        ({"diagnosis": "PTC"}, "Diagnosis 'PTC' is labelled both 0 and 1"),
    ],
)
def test_bad_manifests(manifest, split, columns, message):
    with pytest.raises(ThyganError, match=message):
        split(manifest(ROWS, **columns))


def test_identities_of_two_keys_are_refused(manifest, split):
    other = b"another study's own key"
    identities = [identity(other if row[2] == "3" else b"a study key for tests", "Home", row[2]) for row in ROWS]
    with pytest.raises(ThyganError, match=rf"have 2 study keys \(.*{key_id(other)}"):
        split(manifest(ROWS, identity=identities))


def test_one_patient_at_two_sites_is_refused(manifest, split):
    site = ["Far" if row[0] == "3b.jpeg" else "Home" for row in ROWS]
    with pytest.raises(ThyganError, match=r"1 patient\(s\) are at more than one site \(first: '3' at Far and Home\)"):
        split(manifest(ROWS, site=site))


def test_one_image_under_two_patients_is_refused(manifest, split):
    sha256 = [f"{place:064x}" for place in range(len(ROWS))]
    sha256[8] = sha256[0]  # 4a.jpeg is 0a.jpeg
    with pytest.raises(LeakageError, match=r"0a.jpeg and 4a.jpeg are the same image under two patients"):
        split(manifest(ROWS, sha256=sha256))
    sha256[8], sha256[1] = f"{8:064x}", sha256[0]  # twice, but of one person
    assert split(manifest(ROWS, sha256=sha256))


def test_tiles_that_images_share_are_no_matter(manifest, split):
    """Two patients' fields may both hold a tile of bare glass."""
    tiles = [row for row in ROWS for _ in range(2)]
    x = [0, 512] * len(ROWS)
    sha256 = ["f" * 64 if left else f"{place:064x}" for place, left in enumerate(x)]
    assert split(manifest(tiles, x=x, sha256=sha256))


@pytest.mark.parametrize(
    ("label", "message"),
    [(2, "has the label 2: a label is 0 or 1"), (-1, "has the label -1"), ("nan", "tiles without a label"),
     ("PTC", "has the label 'PTC' in row 1, which is not a whole number"), ("0.5", "has the label '0.5' in row 1")],
)  # fmt: skip
def test_labels_that_are_no_class_are_one_sentence(manifest, split, label, message):
    with pytest.raises(ThyganError, match=message):
        split(manifest(ROWS, label=[label, *[row[1] for row in ROWS[1:]]]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a manifest"),
        (b"file,label\n1.png,0\n", "lacks the columns patient"),
        (b"\x89PNG\r\n", "is not a manifest"),
        (b'file,"label\n', "is not a manifest"),
    ],
)
def test_what_is_no_manifest_is_one_sentence(tmp_path, split, content, message):
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(ThyganError, match=message):
        split(tmp_path / "manifest.csv")
    with pytest.raises(ThyganError, match="cannot be read"):
        split(tmp_path)
    with pytest.raises(ThyganError, match="There is no manifest"):
        split(tmp_path / "none.csv")


def test_unicode_and_very_long_names_are_split(manifest, split):
    rows = [(f"{'长' * 80}{row[0]}", row[1], f"Ülkü {row[2]} {'x' * 300}", f"Ülkü {row[3]}", row[4]) for row in ROWS]
    *_, paths = split(manifest(rows))
    assert len(SplitPlan.read(paths["plan"]).part("all")) == 16


def test_a_destination_that_cannot_be_written_is_one_sentence(manifest, split, tmp_path):
    (tmp_path / "plan.json").mkdir()
    (tmp_path / "plan.json/file").write_text("here before")
    with pytest.raises(ThyganError, match=r"plan.json cannot be written \(Is a directory\)"):
        split(manifest(ROWS))
    assert (tmp_path / "plan.json/file").read_text() == "here before"
