"""The rules on tables made by hand."""

import pandas as pd
import pytest

from components.core.errors import ConfigError
from components.core.options.parse import parse
from components.fid_select.options import SelectionOptions
from components.fid_select.selection_rule import SelectionRule, describe_held_out_problem

CLASS_LIST = [{"index": 0, "name": "a"}, {"index": 1, "name": "b"}]


def row(kimg: float, fid: float, kid: tuple, held_out: tuple, error: float = 0.0, full: bool = True) -> dict:
    pairs = zip(kid, held_out, strict=True)
    return {
        "kimg": kimg, "fid": fid, "kid": sum(kid) / len(kid), "kid_sampling_se": error, "full": full,
        "classes": [
            {"kid": a, "kid_held_out": b, "kid_sampling_se": error, "kid_held_out_sampling_se": error} for a, b in pairs
        ],
    }  # fmt: skip


ROWS = [
    row(0, 1.0, (0.0, 0.0), (0.0, 0.0)),
    row(4, 9.0, (0.1, 0.1), (0.5, 0.3)),
    row(8, 5.0, (0.2, 0.3), (0.7, None)),
    row(12, 6.0, (0.9, 0.3), (0.1, 0.2)),
    row(16, 5.0, (0.9, 0.3), (0.2, 0.1)),
]


def test_each_rule_by_hand_and_ties_go_to_the_earlier() -> None:
    assert SelectionRule("fid_train", "").choose(ROWS)[0] == 2
    assert SelectionRule("kid_held_out", "").choose(ROWS)[0] == 3
    place, reason = SelectionRule("kid_held_out", "there is no HeldOut").choose(ROWS)
    assert place == 1
    assert reason == (
        "lowest class-mean KID to the training tiles, because there is no HeldOut: 0.1 at 4 kimg, of 4 snapshots"
    )
    assert SelectionRule("fid_train", "").choose(ROWS[:1])[0] == 0


def test_only_what_was_measured_in_full_can_be_chosen() -> None:
    rows = [{**one, "full": one["kimg"] > 8} for one in ROWS]
    assert SelectionRule("fid_train", "").choose(rows)[0] == 4


def test_the_shortlist_is_those_that_more_images_could_bring_ahead() -> None:
    """The errors of the class means are error / sqrt(2), those of a difference error: 3 of them decide."""
    rows = [row(4 * place, 0, (0, 0), (kid, kid), 0.01) for place, kid in enumerate((0.0, 0.1, 0.129, 0.131, 0.5))]
    choice = SelectionRule("kid_held_out", "")
    assert choice.shortlist(rows, 1) == [1, 2]  # the untrained one is none
    assert choice.shortlist(rows, 3) == [1, 2, 3]
    assert choice.shortlist(rows, 9) == [1, 2, 3, 4]


def test_who_leads_by_fid_in_the_screening_runs_too_where_fid_decides() -> None:
    kid, fid = (0.0, 0.1, 0.2, 0.3, 0.4), (1, 9, 8, 7, 2)
    rows = [row(4 * place, 0, (one, one), (one, one), 0.01) for place, one in enumerate(kid)]
    rows = [{**one, "fid_screening": distance} for one, distance in zip(rows, fid, strict=True)]
    assert SelectionRule("fid_train", "").shortlist(rows, 1) == [1, 4]
    assert SelectionRule("fid_train", "").shortlist(rows, 2) == [1, 2, 3, 4]
    assert SelectionRule("kid_held_out", "").shortlist(rows, 1) == [1]


def test_no_rule_of_that_name() -> None:
    parse(SelectionOptions, {"rule": "fid_train"}, "selection")
    with pytest.raises(ConfigError, match="kid_held_out, fid_train"):
        parse(SelectionOptions, {"rule": "best"}, "selection")


def test_why_held_out_tiles_cannot_decide() -> None:
    held_out = pd.DataFrame({"identity": ["v"] * 20, "label": [0] * 12 + [1] * 8})
    assert describe_held_out_problem(held_out, CLASS_LIST, ["t"]) == ""
    assert "7 tiles of class b" in describe_held_out_problem(held_out[:-1], CLASS_LIST, ["t"])
    assert "1 of HeldOut's patients were seen" in describe_held_out_problem(held_out, CLASS_LIST, ["t", "v"])
