import numpy as np
import pandas as pd
import pytest
from fixture_study import build

from components.core.data.archive import ImageArchive
from components.core.data.manifest import write_manifest
from components.core.errors import DataError
from components.umap.map_tiles import read_map_tiles


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return build(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def everything(study):
    return read_map_tiles(study["tiles"], study["external_tiles"], study["external_labels"], study["synthetic"])


def test_every_tile_is_there_with_its_domain(study, everything):
    counts = everything.table["domain"].value_counts().to_dict()
    external = ImageArchive(study["external_tiles"]).manifest["site"].value_counts().to_dict()
    generated = {
        f"synthetic ({name})": len(ImageArchive(path))
        for name, path in zip(("binary", "diagnosis"), study["synthetic"], strict=True)
    }
    assert counts == {"Altstadt": len(ImageArchive(study["tiles"])), **external, **generated}


def test_external_tiles_take_class_and_diagnosis_from_the_labels(study, everything):
    external = everything.table[everything.table["role"] == "external"]
    labels = pd.read_csv(study["external_labels"])
    assert external["diagnosis"].tolist() == labels["diagnosis"].tolist()
    assert (external["class"] == labels["label"].map({0: "other", 1: "PTC-like"}).tolist()).all()


def test_no_raw_patient_is_kept(everything):
    text = everything.table.drop(columns="identity").to_csv()
    assert "RAW" not in text
    known = everything.table[everything.table["patient"] != ""]
    assert known.groupby("patient")["identity"].nunique().eq(1).all()
    assert known["patient"].nunique() == known["identity"].nunique()


def test_tiles_without_a_patient_are_resampled_one_by_one(everything):
    turin = everything.table[everything.table["domain"] == "Turin"]
    assert turin["group"].is_unique and (turin["patient"] == "").all()


def test_an_arm_uses_the_first_images_of_each_class(study, everything):
    used = everything.table[[("bi100" in arms) for arms in everything.table["arms"]]]
    binary = ImageArchive(study["synthetic"][0]).manifest
    first = pd.concat([rows.head(10) for _, rows in binary.groupby("class")])["file"]
    assert sorted(used["file"]) == sorted(first)
    assert everything.added == {"bi100": 20, "mc100": 40}


def test_sampling_takes_the_same_number_of_every_domain(everything):
    sample = everything.sample(100, np.random.default_rng(0)).table
    counts = sample["domain"].value_counts()
    assert len(sample) == 100
    assert counts["Turin"] == 16  # all there are
    assert counts.drop("Turin").between(21, 21 + 1).all()
    again = everything.sample(100, np.random.default_rng(0)).table
    assert sample["file"].tolist() == again["file"].tolist()
    assert len(everything.sample(10_000, np.random.default_rng(0)).table) == len(everything.table)


def test_synthetic_tiles_may_be_counted_apart_and_by_class(everything):
    sample = everything.sample(60, np.random.default_rng(0), synthetic_each=7).table
    synthetic = sample["role"] == "synthetic"
    assert (~synthetic).sum() == 60
    assert (sample[synthetic].groupby(["domain", "class"]).size() == 7).all()
    assert sample.loc[synthetic, "domain"].nunique() == 2


def test_an_external_tile_without_a_row_is_refused(study, tmp_path):
    labels = pd.read_csv(study["external_labels"], dtype=str, keep_default_na=False)
    write_manifest(tmp_path / "short.csv", labels.iloc[1:])
    with pytest.raises(DataError, match="not the same"):
        read_map_tiles(study["tiles"], study["external_tiles"], str(tmp_path / "short.csv"), [])


def test_an_external_site_of_the_source_s_name_stays_apart(study):
    twice = read_map_tiles(study["tiles"], study["tiles"], study["manifest"], [])
    assert set(twice.table["domain"]) == {"Altstadt", "Altstadt (external)"}
