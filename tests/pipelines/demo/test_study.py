"""A whole study: repeatable, complete or absent, two shifted hospitals, two classes that overlap but can be told."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from components.core.errors import ConfigError
from pipelines.demo import DIAGNOSES, SOFTWARE, write_study

TILE_PX, SMALL_PX = 128, 32  # a tile of the source, and what the demo's networks see of it


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "study"
    return folder, write_study(folder, seed=1, patients=40, images_per_patient=2, size_px=TILE_PX)


def tables(folder):
    return {
        site: pd.read_csv(folder / site / "meta.csv", dtype={"patient": str}) for site in ("hospital-a", "hospital-b")
    }


def statistics(folder, table):
    """Colour and texture of each field at 32 px: [n, features]."""
    rows = []
    for site, file in zip(table["site"], table["file"], strict=True):
        image = Image.open(folder / site / "images" / file).resize((SMALL_PX, SMALL_PX), Image.Resampling.LANCZOS)
        density = -np.log(np.asarray(image, dtype=float) / 255 + 0.02)
        red = density[..., 0] - density[..., 0].mean()
        power = np.log(np.abs(np.fft.fft2(red)) ** 2 + 1e-6)
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SMALL_PX), np.fft.fftfreq(SMALL_PX)))
        bands = np.digitize(frequency, [0.02, 0.06, 0.12, 0.18, 0.25, 0.35, 0.5])
        texture = np.bincount(bands.ravel(), power.ravel()) / np.bincount(bands.ravel())
        colour = np.percentile(density, [5, 25, 50, 75, 95], (0, 1))
        rows.append([*density.mean((0, 1)), *density.std((0, 1)), *colour.ravel(), *texture[1:]])
    return np.array(rows)


def test_the_same_seed_gives_the_same_bytes_whatever_the_workers(tmp_path):
    options = {"patients": 3, "images_per_patient": 2, "external_patients": 2, "size_px": 64}
    write_study(tmp_path / "one", seed=5, workers=1, **options)
    write_study(tmp_path / "many", seed=5, workers=4, **options)
    write_study(tmp_path / "other", seed=6, workers=4, **options)
    one, many, other = (digests(tmp_path / name) for name in ("one", "many", "other"))
    assert one == many
    assert one.keys() == other.keys()
    images = [name for name in one if name.endswith(".png")]
    assert len(images) == (3 + 2) * 2
    assert len({digest for table in (one, other) for name, digest in table.items() if name in images}) == 2 * len(
        images
    )


def test_folders_tables_and_summary_agree(study):
    folder, summary = study
    for (site, table), patients in zip(tables(folder).items(), (40, 16), strict=True):
        assert list(table.columns) == [
            "file", "patient", "case", "class", "diagnosis", "site", "nuclei", "nuclear_radius_um", "clearing",
        ]  # fmt: skip
        assert sorted(path.name for path in (folder / site / "images").iterdir()) == sorted(table["file"])
        assert (table["file"].str.replace(r"[a-z]\.png", "", regex=True) == table["patient"]).all()
        assert set(table["site"]) == {site}
        assert (table["class"] == table["diagnosis"].map(lambda name: DIAGNOSES[name].label)).all()
        by_diagnosis = table.groupby("diagnosis")["patient"].nunique()
        assert set(by_diagnosis.index) == set(DIAGNOSES) and by_diagnosis.min() >= 2
        stated = summary["sites"][site]
        assert stated["diagnoses"] == by_diagnosis.to_dict()
        assert (stated["images"], stated["patients"]) == (2 * patients, patients)
        assert stated["class0"] == table[table["class"] == 0]["patient"].nunique() > 0
        assert stated["class1"] == table[table["class"] == 1]["patient"].nunique() > 0
    everyone = pd.concat(tables(folder).values())
    assert everyone.groupby("patient")["site"].nunique().max() == 1


def test_every_image_and_the_folder_say_that_they_are_synthetic(study):
    folder, _ = study
    for path in folder.rglob("*.png"):
        with Image.open(path) as image:
            assert image.text == {"Software": SOFTWARE}
            assert (image.mode, image.size) == ("RGB", (TILE_PX, TILE_PX))
    assert "NOT EVIDENCE" in (folder / "README.txt").read_text()


def test_classes_differ_in_truth_and_patients_overlap(study):
    folder, _ = study
    for table in tables(folder).values():
        patients = table.groupby("patient")[["class", "nuclear_radius_um", "clearing"]].mean()
        for truth in ("nuclear_radius_um", "clearing"):
            auroc = roc_auc_score(patients["class"], patients[truth])
            assert 0.75 < auroc < 1


def test_patients_differ_more_than_the_fields_of_one_patient(study):
    folder, _ = study
    table = tables(folder)["hospital-a"]
    radius = table["nuclear_radius_um"] - table.groupby("diagnosis")["nuclear_radius_um"].transform("mean")
    within = radius.groupby(table["patient"]).std().mean()
    between = radius.groupby(table["patient"]).mean().std()
    assert between > 2 * within


def test_a_simple_classifier_learns_the_classes_across_patients_at_32_px(study):
    folder, _ = study
    table = tables(folder)["hospital-a"]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
    splits = list(folds.split(table, table["class"], table["patient"]))
    positive = cross_val_predict(model, statistics(folder, table), table["class"], cv=splits, method="predict_proba")[
        :, 1
    ]
    assert 0.7 < roc_auc_score(table["class"], positive) < 0.98


def test_the_hospitals_differ_in_light_and_stain(study):
    folder, _ = study
    fields = {
        site: np.stack([np.asarray(Image.open(folder / site / "images" / file)) for file in table["file"]])
        for site, table in tables(folder).items()
    }
    lamp_a, lamp_b = (np.percentile(images, 99, axis=(0, 1, 2)) for images in fields.values())
    assert (lamp_a > lamp_b + 5).all()
    # Blue over green of what the dyes take away does not depend on how much dye there is.
    hue_a, hue_b = (
        np.divide(*np.log(lamp / images.mean((1, 2)))[:, [2, 1]].T)
        for lamp, images in zip((lamp_a, lamp_b), fields.values(), strict=True)
    )
    assert abs(hue_a.mean() - hue_b.mean()) > 3 * max(hue_a.std(), hue_b.std())


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"seed": -1}, "0 or larger"),
        ({"patients": 1}, "at least 2 patients"),
        ({"external_patients": 0}, "at least 2 patients"),
        ({"images_per_patient": 27}, "1 to 26"),
        ({"workers": 0}, "at least 1 worker"),
        ({"size_px": 8}, "32 pixels"),
        ({"mpp": 9.0}, "0.1 to 4"),
    ],
)
def test_bad_arguments_are_refused_and_leave_nothing(tmp_path, bad, says):
    with pytest.raises(ConfigError, match=says):
        write_study(tmp_path / "study", **bad)
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_phantom_is_replaced_and_anything_else_kept(tmp_path):
    options = {"patients": 2, "images_per_patient": 1, "external_patients": 2, "size_px": 32}
    write_study(tmp_path / "study", seed=0, **options)
    before = digests(tmp_path / "study")
    write_study(tmp_path / "study", seed=1, **options)
    assert digests(tmp_path / "study") != before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(ConfigError, match="not a phantom study"):
        write_study(tmp_path / "mine", **options)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
