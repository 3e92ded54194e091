"""The records behind a fold, read from the file of its last stage."""

import json
from pathlib import Path

import pytest
from fixture_study import build, variant

from components.core.errors import DataError
from components.report.task_records import read_fold, read_folds


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return build(tmp_path_factory.mktemp("records") / "study", variant(external=False, folds=2, seeds=(0,)))


def change(path, copy, **by_stage):
    """A copy of a record file in which stages have other values; None removes a stage."""
    last = json.loads(Path(path).read_text())
    chain = [*last["upstream"], last]
    chain = [raw | (by_stage.get(raw["stage"]) or {}) for raw in chain if by_stage.get(raw["stage"], raw) is not None]
    copy.write_text(json.dumps({**chain[-1], "upstream": chain[:-1]}))
    return str(copy)


def test_folds_come_in_order_with_all_last(study):
    folds = read_folds([*study["final_records"], *reversed(study["fold_records"])])
    assert [(one.fold, one.scheme) for one in folds] == [
        (fold, scheme) for fold in ("0", "1", "all") for scheme in ("binary", "diagnosis")
    ]
    assert all(one.has_own_generator and one.gan.kimg == 24 for one in folds)
    assert [task.stage for task in folds[0].tasks][-5:] == [
        "pack",
        "gan_train",
        "fid_select",
        "generate",
        "classifier_cv",
    ]


def test_a_generator_of_another_fold_is_not_the_fold_s_own(study, tmp_path):
    shared = read_fold(change(study["fold_records"][0], tmp_path / "shared.json", fid_select={"fold": "all"}))
    assert (shared.fold, shared.generator_fold, shared.has_own_generator) == ("0", "all", False)


def test_a_fold_without_a_generator_has_classifiers_only(study, tmp_path):
    stages = dict.fromkeys(("gan_train", "fid_select", "generate"))
    alone = read_fold(change(study["fold_records"][0], tmp_path / "alone.json", **stages))
    assert alone.gan is alone.selection is alone.generation is None and not alone.has_own_generator
    assert alone.classifier.arms


def test_a_record_of_another_stage_is_refused(study):
    with pytest.raises(DataError, match="not a record of classifier_cv"):
        read_fold(study["split_record"])
