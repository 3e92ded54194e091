"""Split files of others, the published ones among them."""

import json
from pathlib import Path

import pytest

from components.core.data.manifest import read_manifest
from components.core.errors import DataError, LeakageError
from components.split.imports import import_folds, omission_notes
from components.split.patients import read_patients

SHARED = Path(__file__).parents[3] / "shared"
THYGAN = SHARED / "reference/thygan/data"

ROWS = [
    ("10a.jpeg", 0, "A", "10", "FA"),
    ("11a.jpeg", 1, "A", "11", "PTC"),
    ("20a.jpeg", 0, "B", "20", "FA"),
    ("31a.jpeg", 1, "C", "31", "PTC"),
    ("31b.jpeg", 1, "C", "31", "PTC"),
]


@pytest.fixture
def cohort(manifest):
    return read_patients(read_manifest(manifest(ROWS)))


@pytest.fixture
def lists(tmp_path):
    def write(**files):
        folder = tmp_path / "lists"
        folder.mkdir(exist_ok=True)
        for name, value in files.items():
            (folder / f"{name}.json").write_text(json.dumps(value))
        return str(folder)

    return write


@pytest.fixture(scope="module")
def published():
    """Thy-GAN's 1496 images as rows."""
    if not THYGAN.is_dir():
        pytest.skip("skipped: no ../shared/reference/thygan")
    meta = json.loads((THYGAN / "labels/bi_dataset.json").read_text())["meta"]
    return [(file, label, patient, patient, diagnosis) for file, label, patient, diagnosis in meta]


def test_numbers_are_cases_else_patients(cohort, lists, who):
    folder = lists(cv0_split={"train": [10, 11], "val": ["B"], "test": [31]})
    folds, notes = import_folds(folder, cohort)
    assert folds == {"0": {"train": [who("A")], "val": [who("B")], "test": [who("C")]}}
    assert notes == []


def test_file_names_are_the_fold_all(cohort, lists, who):
    folder = lists(data_split_2={"train": ["10a.jpeg", "11a.jpeg", "31a.jpeg"], "val": ["20a.jpeg", "99a.jpeg"]})
    folds, notes = import_folds(folder, cohort)
    assert folds == {"all": {"train": sorted([who("A"), who("C")]), "val": [who("B")], "test": []}}
    assert notes == ["data_split_2.json names 1 files that have no tile here."]
    assert import_folds(f"{folder}/data_split_2.json", cohort)[0] == folds


def test_file_names_with_a_test_list_are_a_fold_of_the_cross_validation(cohort, lists, who):
    folder = lists(cv3_split={"train": ["10a.jpeg", "11a.jpeg"], "val": ["20a.jpeg"], "test": ["31a.jpeg", "31b.jpeg"]})
    folds, _ = import_folds(folder, cohort)
    assert folds == {"3": {"train": [who("A")], "val": [who("B")], "test": [who("C")]}}


def test_cases_of_one_patient_stay_together(cohort, lists):
    with pytest.raises(LeakageError, match="has 10 in train and 11 in test, and both belong to one patient"):
        import_folds(lists(cv0_split={"train": [10], "val": [20], "test": [11, 31]}), cohort)


def test_files_of_one_patient_stay_together(cohort, lists):
    files = {"train": ["31a.jpeg", "10a.jpeg"], "val": ["31b.jpeg", "20a.jpeg"]}
    with pytest.raises(LeakageError, match=r"has 31a.jpeg in train and 31b.jpeg in val"):
        import_folds(lists(data_split_0=files), cohort)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no split file"),
        ({"cv0_split": [1, 2]}, "is not a split"),
        ({"cv0_split": {"train": [10]}}, "is not a split"),
        ({"cv0_split": {"train": "10", "val": [20], "test": [31]}}, "is not a split"),
        ({"cv0_split": {"train": [None], "val": [20], "test": [31]}}, "is not a split"),
        ({"cv0_split": {"train": [10.5], "val": [20], "test": [31]}}, "is not a split"),
        ({"cv0_split": {"train": [[10]], "val": [20], "test": [31]}}, "is not a split"),
        ({"cv_split": {"train": [10], "val": [20], "test": [31]}}, "has no fold number in its name"),
        ({"cv0_split": {"train": [1], "val": [2], "test": [3]}}, "lists no patient of this manifest"),
        (
            {"data_split_0": {"train": ["10a.jpeg"], "val": ["20a.jpeg"]},
             "data_split_1": {"train": ["10a.jpeg"], "val": ["20a.jpeg"]}},
            "both belong to fold all",
        ),
    ],
)  # fmt: skip
def test_bad_lists(cohort, lists, files, message):
    with pytest.raises(DataError, match=message):
        import_folds(lists(**files), cohort)


def test_published_lists_leave_patients_out(published, manifest):
    cohort = read_patients(read_manifest(manifest(published)))
    folds, notes = import_folds(str(THYGAN / "cv_splits"), cohort)
    assert notes == []
    assert list(folds) == ["0", "1", "2", "3", "4"]
    assert [len(parts["test"]) for parts in folds.values()] == [32, 31, 31, 31, 31]
    assert omission_notes(folds, cohort) == [
        *(f"Fold {fold}: {n} of 156 patients are in no list." for fold, n in enumerate([27, 23, 26, 25, 24])),
        "31 patients are in no training or validation list of any cross-validation fold (31 of them are tested).",
    ]


def test_published_list_of_files_covers_everyone(published, manifest):
    cohort = read_patients(read_manifest(manifest(published)))
    folds, notes = import_folds(str(THYGAN / "full_data_splits/data_split_4.json"), cohort)
    assert notes == omission_notes(folds, cohort) == []
    rows = cohort.table[cohort.table["identity"].isin(folds["all"]["val"])]
    assert (len(rows), len(cohort.table) - len(rows)) == (283, 1213)
