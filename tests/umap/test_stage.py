import json
import re

import numpy as np
import pandas as pd
import pytest
from fixture_study import build, variant
from PIL import Image

from components.core.data.archive import ArchiveWriter
from components.core.options.shared import SharedOptions
from components.umap.layouts import project
from components.umap.options import UmapOptions
from components.umap.stage import run

SHARED = SharedOptions(extractor_px=32, device="cpu")


def outputs(folder):
    return {
        "umap_page": str(folder / "umap.html"),
        "gap": str(folder / "gap"),
        "umap_record": str(folder / "umap.json"),
    }


def inputs(study):
    return {name: study[name] for name in ("tiles", "external_tiles", "external_labels", "synthetic")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("umap")
    study = build(folder / "study", variant(patients_per_diagnosis=2))
    run(**inputs(study), **outputs(folder), options=UmapOptions(max_tiles=90), shared=SHARED)
    return folder


@pytest.fixture(scope="module")
def points(made):
    return json.loads((made / "gap/umap.json").read_text())["points"]


def test_every_sampled_tile_is_a_point_with_its_picture(points):
    assert len(points) == 90
    assert {point["role"] for point in points} == {"source", "external", "synthetic"}
    assert all(point["tile"].startswith("data:image/jpeg;base64,") for point in points)
    axis_names = ("x", "y", "xs", "ys", "x3", "y3", "z3", "xs3", "ys3", "zs3")
    axes = np.array([[point[axis] for axis in axis_names] for point in points])
    assert np.isfinite(axes).all() and (axes.std(axis=0) > 0.1).all()


def test_points_carry_pseudonyms_only(made, points):
    written = (made / "gap/umap.json").read_text() + (made / "umap.html").read_text()
    assert "RAWID" not in written and "RAWEXT" not in written
    assert all(
        (point["patient"] == "") == (point["role"] == "synthetic" or point["domain"] == "Turin") for point in points
    )


def test_record_and_table_agree(made):
    record = json.loads((made / "umap.json").read_text())
    table = pd.read_csv(made / "gap/domain_gap.csv", keep_default_na=False)
    assert (record["stage"], record["tiles"], record["extractor_trained"]) == ("umap", 90, True)
    assert [row["value"] for row in record["tables"]["gap"]] == pytest.approx(table["value"].astype(float))
    assert set(table["with_arm"]) == {"", "bi100", "mc100"} and set(table["target"]) == {"Nordhafen", "Turin"}


def test_page_needs_nothing_from_outside(made):
    page = (made / "umap.html").read_text()
    assert "Plotly" in page and "2-D, fitted with synthetic" in page and "efficientnet_lite0 at 32 px" in page
    outside_scripts = re.sub(r"(<script[^>]*>).*?</script>", r"\1", page, flags=re.DOTALL)
    for reference in ("src=", "href=", "<link", "@import"):
        assert reference not in outside_scripts


def test_picture_shows_the_domains_colours(made):
    with Image.open(made / "gap/umap2d.png") as picture:
        colours = {tuple(colour) for _, colour in picture.convert("RGB").getcolors(2**20)}
        assert picture.width > 1000
    assert {(0, 114, 178), (230, 159, 0), (0, 158, 115)} <= colours


def test_no_external_tiles_and_fewer_tiles_than_neighbours(tmp_path):
    study = build(tmp_path / "study", variant(external=False, diagnoses={"FA": 0, "PTC": 1}, patients_per_diagnosis=1))
    with ArchiveWriter(tmp_path / "few.zip") as few:
        for value in (40, 90, 140, 190):
            pixels = np.full((32, 32, 3), value, np.uint8)
            few.add(pixels, {"label": 0, "patient": "p", "case": "p", "site": "A", "identity": "i"})
    for external in (study["external_tiles"], ""):
        run(
            **{**inputs(study), "tiles": str(tmp_path / "few.zip"), "external_tiles": external, "synthetic": []},
            **outputs(tmp_path),
            shared=SHARED,
        )
        assert pd.read_csv(tmp_path / "gap/domain_gap.csv").empty
        assert len(json.loads((tmp_path / "gap/umap.json").read_text())["points"]) == 4
        assert "no gap to measure" in (tmp_path / "umap.html").read_text()


def test_a_few_tiles_are_laid_out_by_principal_components():
    features = np.array([[0, 0, 5], [2, 0, 5], [4, 0.1, 5]], np.float32)
    placed, others = project(features, features[:1], 2, 15, 0.1, 0)
    assert np.linalg.norm(placed[0] - placed[2]) == pytest.approx(np.linalg.norm(features[0] - features[2]), rel=1e-5)
    assert others[0] == pytest.approx(placed[0], abs=1e-5)
    assert project(features[:1], features[:0], 3, 15, 0.1, 0)[0].shape == (1, 3)
