"""Whoever takes a plan verifies it before anything else is done."""

import ast
import importlib
import inspect
import json
from pathlib import Path

import pytest

from components.core.errors import ThyganError
from components.core.protocol.split_plan import SplitPlan
from components.core.protocol.study_plan import StudyPlan

COMPONENTS = Path(__file__).parents[2] / "components"
CONSUMERS = ("pack", "generate", "classifier_cv")  # report reads the plan too, after other files
PLAN = SplitPlan("k", {"0": {"train": ["k-a", "k-b"], "val": ["k-c"], "test": ["k-d"]}}, "by hand", ("a note",))


def taking(parameter):
    """The text of every stage whose `run` has such an input; split makes them."""
    return {
        file.parent.name: "".join(one.read_text() for one in sorted(file.parent.glob("*.py")))
        for file in COMPONENTS.glob("*/stage.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "run"
        if parameter in [one.arg for one in node.args.kwonlyargs] and file.parent.name != "split"
    }


def nothing(run, **given):
    """`run` on inputs that are not there, but for those given."""
    required = [p.name for p in inspect.signature(run).parameters.values() if p.default is p.empty]
    return run(**{**dict.fromkeys(required, "/nowhere"), **given})


@pytest.fixture
def altered(tmp_path):
    """A written plan with one patient moved from test to training."""
    PLAN.write(tmp_path / "plan.json")
    value = json.loads((tmp_path / "plan.json").read_text())
    value["folds"]["0"]["train"].append(value["folds"]["0"]["test"].pop())
    (tmp_path / "plan.json").write_text(json.dumps(value))
    return str(tmp_path / "plan.json")


@pytest.mark.parametrize("stage", CONSUMERS)
def test_a_changed_split_plan_is_refused_first_of_all(stage, altered, tmp_path):
    run = importlib.import_module(f"components.{stage}.stage").run
    given = {"plan": altered, "fold": "0", "arms": ["none"]}
    given |= {name: str(tmp_path / f"out/{name}") for name in inspect.signature(run).parameters if "record" in name}
    known = inspect.signature(run).parameters
    with pytest.raises(ThyganError, match="was changed after it was made: its digest does not fit its folds"):
        nothing(run, **{name: value for name, value in given.items() if name in known})
    assert not (tmp_path / "out").exists()


def test_every_stage_that_takes_a_plan_reads_it_so():
    assert set(taking("plan")) >= {*CONSUMERS, "report"}
    assert all("SplitPlan.read(" in text for text in taking("plan").values())
    assert set(taking("study")) >= {"classifier_cv", "external_eval", "report"}
    assert all("StudyPlan.read(" in text for text in taking("study").values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.pop("folds"), "is not a split plan"),
        (lambda value: value.pop("digest"), "is not a split plan"),
        (lambda value: value["folds"]["0"].pop("val"), "is not a split plan"),
        (lambda value: value.update(folds=["0"]), "is not a split plan"),
        (lambda value: value.update(key_id="another"), "was changed after it was made"),
        (lambda value: value["folds"].update({"1": value["folds"]["0"]}), "was changed after it was made"),
        (lambda value: value.update(digest="0" * 64), "was changed after it was made"),
    ],
)
def test_what_is_no_plan_is_one_sentence(tmp_path, change, message):
    path = tmp_path / "plan.json"
    PLAN.write(path)
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    with pytest.raises(ThyganError, match=message):
        SplitPlan.read(path)


@pytest.mark.parametrize("content", ["", "[]", "null", '"text"', "{", "\x00"])
def test_what_is_no_json_object_is_one_sentence(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(ThyganError, match=r"is not a split plan|is not valid JSON"):
        SplitPlan.read(tmp_path / "plan.json")


def test_a_plan_is_read_as_it_was_written(tmp_path):
    PLAN.write(tmp_path / "plan.json")
    assert SplitPlan.read(tmp_path / "plan.json") == PLAN


def test_a_changed_study_plan_is_refused(tmp_path):
    StudyPlan(["none", "bi100"], [0]).write(tmp_path / "study.json")
    text = (tmp_path / "study.json").read_text()
    (tmp_path / "study.json").write_text(text.replace('"majority"', '"probability"'))
    with pytest.raises(ThyganError, match="was changed after it was made"):
        StudyPlan.read(tmp_path / "study.json")
