import pandas as pd
import pytest

from components.core.data.manifest import write_manifest
from components.core.protocol.lineage import identity

KEY = b"a study key for tests"


def table_of(rows):
    """A manifest of (source, label, patient, case, diagnosis) rows, one tile each."""
    table = pd.DataFrame(rows, columns=["source", "label", "patient", "case", "diagnosis"], dtype=object)
    return table.assign(
        file=[f"{place:08d}.png" for place in range(len(table))],
        site="Home",
        x=0,
        y=0,
        mpp=0.5,
        sha256="",
        identity=[identity(KEY, "Home", one) if one else "" for one in table["patient"]],
    )


@pytest.fixture
def manifest(tmp_path):
    """Writes a manifest of such rows; returns its path."""

    def write(rows, **columns):
        write_manifest(tmp_path / "manifest.csv", table_of(rows).assign(**columns))
        return tmp_path / "manifest.csv"

    return write


@pytest.fixture
def who():
    """Patient -> identity."""
    return lambda patient: identity(KEY, "Home", patient)
