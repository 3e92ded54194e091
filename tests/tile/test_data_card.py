"""The data card: counts by hand, stains of a hospital whose stains are known, digests by hashlib."""

import base64
import dataclasses
import hashlib
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.manifest import write_manifest
from components.tile.data_card.card import card_of_tiles, write_card
from components.tile.data_card.page import card_page
from components.tile.data_card.stains import MAX_TILES, select_tiles, site_stain
from pipelines.demo.stain import HOSPITAL_A, HOSPITAL_B, photograph

SIDE = 64


def tissue(rng, hospital, side=SIDE):
    """A tile of cells in stroma: patches of haematoxylin over a wavy ground of eosin, and some bare glass."""
    y, x = np.mgrid[:side, :side] / side
    nuclei = (np.sin(9 * x + rng.uniform(0, 6)) * np.sin(9 * y + rng.uniform(0, 6)) > 0.2).astype(np.float32)
    stroma = (0.5 + 0.4 * np.sin(5 * x + 3 * y + rng.uniform(0, 6))).astype(np.float32)
    glass = (x < 0.1).astype(np.float32)
    eosin = 2.4 * stroma * (1 - nuclei)  # so much, because Macenko's tissue is dense in red, too
    return photograph(rng, hospital, 1.2 * nuclei * (1 - glass), eosin * (1 - glass), 0.5)


@pytest.fixture
def tiles(tmp_path):
    """Two sites: hospital-a with patients 1..4 of 5 tiles each, hospital-b with 8 tiles of nobody."""
    rng = np.random.default_rng(0)
    with ArchiveWriter(tmp_path / "tiles.zip") as archive:
        for patient in "1234":
            row = {"site": "hospital-a", "patient": patient, "case": patient, "identity": f"k-{patient}", "mpp": 0.5}
            of_class = {"label": int(patient) % 2, "diagnosis": ("FA", "<b>PTC</b>")[int(patient) % 2]}
            for x in range(5):
                image = {"source": f"{patient}{'ab'[x > 2]}.png", "x": x}
                archive.add(tissue(rng, HOSPITAL_A), {**row, **of_class, **image})
        for x in range(8):
            row = {"site": "hospital-b", "source": f"{x}.png", "label": 1, "diagnosis": "", "x": 0}
            archive.add(tissue(rng, HOSPITAL_B), row)
    with ImageArchive(tmp_path / "tiles.zip") as archive:
        yield archive


def test_counts_are_those_of_the_tiles(tiles):
    card = card_of_tiles(tiles, tiles.manifest)
    assert [card[name] for name in ("images", "tiles", "patients", "cases", "tile_px")] == [16, 28, 4, 4, SIDE]
    a, b = card["sites"]
    assert [a[name] for name in ("site", "images", "tiles", "patients", "cases", "mpp")] == [
        "hospital-a", 8, 20, 4, 4, [0.5]
    ]  # fmt: skip
    assert a["tiles_per_patient"] == {"least": 5, "median": 5.0, "most": 5}
    assert a["classes"] == [
        {"label": 0, "diagnosis": "FA", "images": 4, "tiles": 10, "patients": 2, "cases": 2},
        {"label": 1, "diagnosis": "<b>PTC</b>", "images": 4, "tiles": 10, "patients": 2, "cases": 2},
    ]
    assert [b[name] for name in ("images", "tiles", "patients", "tiles_per_patient")] == [8, 8, 0, None]
    assert (b["mpp"], b["mpp_unknown_tiles"]) == ([], 8)


def degrees(one, other):
    return np.degrees(np.arccos(np.clip(one @ other / np.linalg.norm(one) / np.linalg.norm(other), -1, 1)))


@pytest.mark.parametrize("hospital", [HOSPITAL_A, HOSPITAL_B])
def test_stains_of_a_hospital_are_found(hospital):
    """Its own vectors and white are known; Macenko's white is 240, so the lamp is set to it."""
    rng = np.random.default_rng(1)
    lamp = dataclasses.replace(hospital, white=(240.0, 240.0, 240.0))
    stain = site_stain([tissue(rng, lamp) for _ in range(40)], rng)
    for found, true in zip((stain.haematoxylin, stain.eosin), lamp.stain_vectors, strict=True):
        assert degrees(np.array(found), true) < 4
    assert 0.5 < stain.tissue_share < 0.9
    strong = site_stain([tissue(rng, dataclasses.replace(lamp, hematoxylin_strength=1.5)) for _ in range(40)], rng)
    assert strong.strengths[0] / stain.strengths[0] == pytest.approx(1.5 / lamp.hematoxylin_strength, rel=0.1)


def test_mean_densities_are_beer_and_lamberts():
    od = np.array([0.4, 0.9, 0.6])
    tile = np.broadcast_to(np.rint(240 * np.exp(-od) - 1).astype(np.uint8), (8, 8, 3))
    stain = site_stain([tile, tile], np.random.default_rng(0))
    assert stain.mean_od == pytest.approx(od, abs=0.005)
    assert stain.od_spread == pytest.approx([0, 0, 0], abs=1e-9)
    assert stain.tissue_share == 1
    assert stain.haematoxylin is None  # one colour holds no two stains


def test_glass_has_no_stain():
    stain = site_stain([np.full((8, 8, 3), 250, np.uint8)], np.random.default_rng(0))
    assert (stain.tissue_share, stain.mean_od, stain.haematoxylin) == (0, None, None)


def test_sites_of_other_stains_are_apart(tiles):
    [pair] = card_of_tiles(tiles, tiles.manifest)["stain_differences"]
    assert pair["sites"] == ["hospital-a", "hospital-b"]
    true = [degrees(one, two) for one, two in zip(HOSPITAL_A.stain_vectors, HOSPITAL_B.stain_vectors, strict=True)]
    assert pair["haematoxylin_degrees"] == pytest.approx(true[0], abs=5)
    assert pair["eosin_degrees"] == pytest.approx(true[1], abs=5)


def test_no_patient_dominates_the_tiles_that_are_looked_at():
    table = pd.DataFrame({"identity": ["k-a"] * 500 + ["k-b"] * 60 + ["k-c"], "file": [str(i) for i in range(561)]})
    chosen = table[table["file"].isin(select_tiles(table, np.random.default_rng(0)))]
    assert len(chosen) == MAX_TILES
    assert sorted(chosen["identity"].value_counts()) == [1, 47, 48]


def test_digests_are_of_the_files_and_of_the_tiles(tiles, tmp_path):
    card = card_of_tiles(tiles, tiles.manifest)
    write_manifest(tmp_path / "manifest.csv", tiles.manifest)
    assert card["sha256"]["archive"] == hashlib.sha256(tiles.path.read_bytes()).hexdigest()
    assert card["sha256"]["manifest"] == hashlib.sha256((tmp_path / "manifest.csv").read_bytes()).hexdigest()
    mixed = tiles.manifest.sample(frac=1, random_state=0)
    assert card_of_tiles(tiles, mixed)["sha256"]["content"] == card["sha256"]["content"]
    fewer = card_of_tiles(tiles, tiles.manifest.iloc[1:])
    assert fewer["sha256"]["content"] != card["sha256"]["content"]
    assert fewer["sites"][1]["sha256"] == card["sites"][1]["sha256"]


def test_the_same_tiles_have_the_same_card(tiles):
    assert card_of_tiles(tiles, tiles.manifest, seed=3) == card_of_tiles(tiles, tiles.manifest, seed=3)


def test_what_is_not_known_is_marked(tiles):
    assert card_of_tiles(tiles, tiles.manifest)["marks"] == [
        "The licence of hospital-a is not stated.",
        "The licence of hospital-b is not stated.",
        "The um/px of hospital-b is unknown.",
        "No patient of hospital-b is known: it counts at tile level only.",
    ]
    card = card_of_tiles(tiles, tiles.manifest, licences={"hospital-a": "CC0-1.0", "*": "in house"})
    assert [site["licence"] for site in card["sites"]] == ["CC0-1.0", "in house"]
    mixed = tiles.manifest.assign(mpp=[0.5, 0.6] * 14)
    assert "The tiles of hospital-a are of 2 magnifications." in card_of_tiles(tiles, mixed)["marks"]


def test_a_blind_tile_set_has_one_class_of_no_label(tiles):
    blind = tiles.manifest.assign(label=pd.array([None] * 28, dtype="Int64"), diagnosis="")
    [of_class] = card_of_tiles(tiles, blind)["sites"][0]["classes"]
    assert (of_class["label"], of_class["tiles"]) == (None, 20)


def test_page_shows_the_card_and_names_nobody(tiles, tmp_path):
    sizes = [{"site": "hospital-a", "width": 1000 + i, "height": 800, "images": 20 - i} for i in range(12)]
    card = card_of_tiles(tiles, tiles.manifest, licences={"*": "<script>alert(1)</script>"}, image_sizes=sizes)
    write_card(card, tmp_path / "card.html", tmp_path / "card.json")
    page = (tmp_path / "card.html").read_text()
    assert json.loads((tmp_path / "card.json").read_text()) == card
    data = re.search(r'href="data:application/json;base64,([^"]+)"', page)[1]
    assert json.loads(base64.b64decode(data)) == card
    assert "<script>" not in page
    assert "&lt;b&gt;PTC&lt;/b&gt;" in page
    assert "1,007 × 800" in page
    assert "4 other sizes" in page  # with 20-8 … 20-11 images
    assert ">42<" in page
    assert "k-1" not in page
    assert "http" not in page


def test_an_empty_tile_set_has_a_card(tmp_path):
    with ArchiveWriter(tmp_path / "none.zip"):
        pass
    with ImageArchive(tmp_path / "none.zip") as archive:
        card = card_of_tiles(archive, archive.manifest)
    assert (card["tiles"], card["sites"], card["stain_differences"], card["marks"]) == (0, [], [], [])
    assert "The tile set is empty." in card_page(card)


def test_it_needs_neither_torch_nor_plotly():
    code = "import sys, components.tile.data_card; sys.exit(bool({'torch', 'plotly', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
