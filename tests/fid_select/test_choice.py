"""The rules on tables made by hand."""

import pandas as pd

from components.fid_select.choice import choose, why_not_held_out

ROWS = [
    {"kimg": 0, "fid": 1.0, "classes": [{"kid": 0.0, "kid_held_out": 0.0}, {"kid": 0.0, "kid_held_out": 0.0}]},
    {"kimg": 4, "fid": 9.0, "classes": [{"kid": 0.1, "kid_held_out": 0.5}, {"kid": 0.1, "kid_held_out": 0.3}]},
    {"kimg": 8, "fid": 5.0, "classes": [{"kid": 0.2, "kid_held_out": 0.7}, {"kid": 0.3, "kid_held_out": None}]},
    {"kimg": 12, "fid": 6.0, "classes": [{"kid": 0.9, "kid_held_out": 0.1}, {"kid": 0.3, "kid_held_out": 0.2}]},
    {"kimg": 16, "fid": 5.0, "classes": [{"kid": 0.9, "kid_held_out": 0.2}, {"kid": 0.3, "kid_held_out": 0.1}]},
]
CLASS_LIST = [{"index": 0, "name": "a"}, {"index": 1, "name": "b"}]


def test_each_rule_by_hand_and_ties_go_to_the_earlier() -> None:
    assert choose(ROWS, "fid_train", "")[0] == 2
    assert choose(ROWS, "kid_held_out", "")[0] == 3
    place, reason = choose(ROWS, "kid_held_out", "there is no HeldOut")
    assert place == 1
    assert reason == (
        "lowest class-mean KID to the training tiles, because there is no HeldOut: 0.1 at 4 kimg, of 4 snapshots"
    )
    assert choose(ROWS[:1], "fid_train", "")[0] == 0


def test_why_held_out_tiles_cannot_decide() -> None:
    held_out = pd.DataFrame({"identity": ["v"] * 20, "label": [0] * 12 + [1] * 8})
    assert why_not_held_out(held_out, CLASS_LIST, ["t"]) == ""
    assert "7 tiles of class b" in why_not_held_out(held_out[:-1], CLASS_LIST, ["t"])
    assert "1 of HeldOut's patients were seen" in why_not_held_out(held_out, CLASS_LIST, ["t", "v"])
