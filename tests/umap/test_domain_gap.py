"""The gap on phantom tissue with a known shift: another hospital's stain and scanner."""

import numpy as np
import pandas as pd
import pytest

from components.core.features.extract import features_of
from components.core.features.extractors import load_extractor
from components.umap.domain_distances import FRECHET, KERNEL, MIXING, SEPARABILITY, DomainFeatures
from components.umap.domain_gap import domain_gap, gap_rows, reduce_features
from components.umap.map_tiles import MapTiles
from pipelines.demo import HOSPITAL_A, HOSPITAL_B, PatientEffect, render_field

PATIENTS, TILES = 8, 8


def fields(rng, hospital):
    """Tiles [n] of 32 px and the patient of each."""
    images, patients = [], []
    for patient in range(PATIENTS):
        field, _ = render_field(rng, hospital, ("PTC", "FA")[patient % 2], PatientEffect.sample(rng), 128, 1.0)
        cut = field.reshape(4, 32, 4, 32, 3).swapaxes(1, 2).reshape(16, 32, 32, 3)[:TILES]
        images += list(cut)
        patients += [str(patient)] * TILES
    return images, patients


@pytest.fixture(scope="module")
def tissue():
    """Features of: the source, its twin (more of hospital A), the external hospital B, and more of B."""
    rng = np.random.default_rng(1)
    extractor = load_extractor("efficientnet_lite0", input_px=64)
    found = {}
    for name, hospital in (("source", HOSPITAL_A), ("twin", HOSPITAL_A), ("target", HOSPITAL_B), ("more", HOSPITAL_B)):
        images, patients = fields(rng, hospital)
        found[name] = (features_of(extractor, images, 64, name), [f"{name} {one}" for one in patients])
    return found


@pytest.fixture(scope="module")
def domains(tissue):
    features = np.concatenate([features for features, _ in tissue.values()])
    reduced = np.split(reduce_features(features, np.ones(len(features), bool), [np.ones(64, bool)]), len(tissue))
    return {
        name: DomainFeatures(own.astype(float), reduced[place], np.array(patients, object))
        for place, (name, (own, patients)) in enumerate(tissue.items())
    }


@pytest.fixture(scope="module")
def to_hospital_b(domains):
    arms = {"like-source": (domains["twin"], 0.5), "like-target": (domains["more"], 0.5)}
    return pd.DataFrame(gap_rows(domains["source"], domains["target"], arms, 10, 0)).set_index(["metric", "with_arm"])


def test_another_hospital_is_farther_than_more_of_the_same(domains, to_hospital_b):
    alike = pd.DataFrame(gap_rows(domains["source"], domains["twin"], {}, 10, 0)).set_index("metric")["value"]
    apart = to_hospital_b["value"].xs("", level="with_arm")
    assert (apart[[FRECHET, KERNEL, SEPARABILITY]] > alike[[FRECHET, KERNEL, SEPARABILITY]]).all()
    assert apart[MIXING] < alike[MIXING]


def test_tiles_like_the_target_close_the_gap(to_hospital_b):
    closed = to_hospital_b.xs("like-target", level="with_arm")
    assert closed.loc[[FRECHET, KERNEL, MIXING, SEPARABILITY], "gap"].tolist() == ["fell"] * 4


def test_tiles_like_the_source_are_not_said_to_close_it(to_hospital_b):
    assert "fell" not in to_hospital_b.xs("like-source", level="with_arm")["gap"].tolist()


def test_intervals_hold_their_values(to_hospital_b):
    rows = to_hospital_b
    assert (rows["low"] <= rows["value"]).all() and (rows["value"] <= rows["high"]).all()
    with_arm = rows[rows["gap"] != ""]
    assert (with_arm["change_low"] <= with_arm["change"]).all() and (
        with_arm["change"] <= with_arm["change_high"]
    ).all()


def test_one_patient_gives_numbers_without_intervals(domains):
    lonely = DomainFeatures(domains["target"].features, domains["target"].reduced, np.full(64, "one", object))
    rows = pd.DataFrame(gap_rows(domains["source"], lonely, {}, 10, 0)).set_index("metric")
    assert rows["low"].isna().all() and rows.loc[[FRECHET, KERNEL, MIXING], "value"].notna().all()


def frame(tissue, names):
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "role": "source" if name == "source" else "external",
                    "domain": name,
                    "group": tissue[name][1],
                    "arms": [()] * 64,
                }
            )
            for name in names
        ],
        ignore_index=True,
    )


def test_every_site_gets_its_rows_and_the_same_draws(tissue):
    tiles = MapTiles(frame(tissue, ["source", "target", "twin"]), [], 64, {})
    features = np.concatenate([tissue[name][0] for name in ("source", "target", "twin")])
    first, second = domain_gap(tiles, features, 10, 0), domain_gap(tiles, features, 10, 0)
    assert first.groupby("target").size().to_dict() == {"target": 4, "twin": 4}
    pd.testing.assert_frame_equal(first, second)


def test_without_external_tiles_there_is_no_gap(tissue):
    assert domain_gap(MapTiles(frame(tissue, ["source"]), [], 64, {}), tissue["source"][0], 10, 0).empty
