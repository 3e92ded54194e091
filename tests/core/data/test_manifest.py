"""A manifest of an earlier version, which lacks a column that was added since."""

import pytest

from components.core.data import manifest
from components.core.errors import DataError

EARLIER = ",".join(manifest.COLUMNS).encode() + b"\n" + b"1.png,0,p,p,FA,home,1.tif,0,0,0.5,aa,id\n"


@pytest.fixture
def added(monkeypatch):
    monkeypatch.setattr(manifest, "COLUMNS", [*manifest.COLUMNS, "scanner"])
    monkeypatch.setattr(manifest, "ADDED_COLUMNS", ["scanner"])


def test_a_column_that_was_added_since_is_empty_in_earlier_archives(added):
    table = manifest.parse_manifest(EARLIER, "manifest.csv")
    assert table["scanner"].tolist() == [""]
    assert table["patient"].tolist() == ["p"]


def test_any_other_column_that_is_missing_is_an_error(added):
    with pytest.raises(DataError, match="it lacks the columns patient"):
        manifest.parse_manifest(EARLIER.replace(b"patient", b"person"), "manifest.csv")
