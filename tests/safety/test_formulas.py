"""No cell of a table that people open in a spreadsheet is a formula, whatever images and patients are called."""

import csv
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.errors import DataError
from components.core.statistics.predictions import as_predictions
from components.tile.options import TileOptions
from components.tile.stage import run

FORMULAS = ["=HYPERLINK(0)", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "a\r=1"]
SAFE = ["1", "NIK-A008", "TCGA-AA-0001", "a=b", "PTC (follicular)", "Ünïcode"]


def tile(folder, **values):
    """Tiles of one image, with a label row."""
    row = {"file": "a.png", "class": "1", "patient": "1", "diagnosis": "PTC", "site": "s", "case": "1"} | values
    source = folder / "source"
    source.mkdir()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(source / row["file"])
    text = io.StringIO()
    csv.writer(text).writerows([row.keys(), row.values()])
    (source / "meta.csv").write_text(text.getvalue(), newline="")
    names = ("tiles", "manifest", "tile_page", "data_card", "card_values", "tile_record")
    run(
        sources=[str(source)],
        mpp={"*": "0.5"},
        options=TileOptions(tile_px=32),
        **{name: str(folder / name) for name in names},
    )
    return pd.read_csv(folder / "manifest", dtype=str)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("THYGAN_STUDY_KEY", "0123456789abcdef")


@pytest.mark.parametrize("column", ["patient", "diagnosis", "site", "case"])
@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_refused_where_it_comes_in(column, text, tmp_path):
    if text != text.strip() and "\r" not in text:
        text = text.strip()  # labels are read without white space around them
    with pytest.raises(DataError, match="which a spreadsheet would take for a formula, or which breaks a line"):
        tile(tmp_path, **{column: text})
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


def test_so_is_an_image_whose_name_is_one(tmp_path):
    with pytest.raises(DataError, match=r"has the source '=1\.png'"):
        tile(tmp_path, file="=1.png")


@pytest.mark.parametrize("text", SAFE)
def test_other_names_stay_as_they_are(text, tmp_path):
    table = tile(tmp_path, diagnosis=text, site=text)
    assert set(table["diagnosis"]) == set(table["site"]) == {text}
    assert not [cell for cell in table.astype(str).to_numpy().ravel() if re.match(r"\s*[=+@]|-\D", cell)]


@pytest.mark.parametrize("text", FORMULAS[:-1])
def test_an_archive_that_somebody_else_wrote_is_refused(text, tmp_path):
    with ArchiveWriter(tmp_path / "x.zip") as archive:
        archive.add(np.zeros((4, 4, 3), np.uint8), {"label": 1, "patient": "1", "diagnosis": text})
    with pytest.raises(DataError, match=r"manifest\.csv in .* has the diagnosis .* which a spreadsheet would take"):
        ImageArchive(tmp_path / "x.zip")


def test_so_are_predictions():
    row = {"patient": "1", "class": 1, "pred_class": 1, "prob_positive": 0.5}
    with pytest.raises(DataError, match="has the site '=1'"):
        as_predictions(pd.DataFrame([{**row, "site": "=1"}]))
