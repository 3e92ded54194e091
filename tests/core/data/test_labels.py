"""Labels that travel apart: joined tile by tile, and only to the very tiles that were labelled."""

import pandas as pd
import pytest

from components.core.data.labels import join_labels
from components.core.errors import DataError


def manifest(*rows: tuple[str, int | None, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["file", "label", "sha256"])
    return table.assign(label=table["label"].astype("Int64"))


BLIND = manifest(("a.png", None, "1"), ("b.png", None, "2"), ("c.png", None, "3"))


def test_rows_come_in_the_order_of_the_tiles():
    labels = manifest(("c.png", 0, "3"), ("a.png", 1, "1"), ("b.png", None, "2"))
    joined = join_labels(BLIND, labels)
    assert joined["file"].tolist() == ["a.png", "b.png", "c.png"]
    assert joined["label"].fillna(-1).tolist() == [1, -1, 0]
    assert list(joined.columns) == ["file", "label", "sha256"] and joined.index.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("a.png", 1, "1"), ("b.png", 0, "2")], "name 2 tiles, the tile set has 3"),
        ([("a.png", 1, "1"), ("b.png", 0, "2"), ("d.png", 0, "3")], "they are not the same"),
        ([("a.png", 1, "1"), ("b.png", 0, "3"), ("c.png", 0, "2")], r"2 external tiles .* \(first: b.png\)"),
    ],
)
def test_labels_of_other_tiles_are_refused(rows, sentence):
    with pytest.raises(DataError, match=sentence):
        join_labels(BLIND, manifest(*rows))
