"""The stage end to end on a toy study."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F
from toy_fold import rewrite, write_synthetic, write_tiles

from components.core.classifier.frozen import read_classifiers
from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.errors import ConfigError, DataError, LeakageError
from components.core.io.atomic_files import read_json
from components.core.protocol.lineage import Lineage
from components.core.protocol.study_plan import StudyPlan
from components.core.records.classifier_cv import ClassifierRecord
from components.core.records.stage_record import read_record
from components.core.statistics.predictions import read_predictions

ARMS = ["none", "stain-aug", "stain-norm", "bi100", "bi100-real"]
REAL = 24  # training tiles


@pytest.fixture(scope="module")
def trained(toy):
    return toy.run("trained", arms=ARMS, epochs=3, learning_rate=0.003)


@pytest.fixture(scope="module")
def real(toy):
    with ImageArchive(toy.tiles) as archive:
        yield archive


def test_every_test_tile_once_per_arm_and_seed(toy, trained, real):
    wanted = toy.split.rows(real.manifest, "0", "test")
    table = trained.predictions
    for _, rows in table.groupby(["arm", "seed"]):
        assert list(rows["tile"]) == list(wanted["file"])
        assert list(rows["patient"]) == list(wanted["patient"])
        assert list(rows["class"]) == list(wanted["label"])
        assert list(rows["diagnosis"]) == list(wanted["diagnosis"])
    assert set(zip(table["arm"], table["seed"], strict=True)) == {(arm, seed) for arm in ARMS for seed in (0, 1)}
    assert table["prob_positive"].between(0, 1).all() and table["prob_positive"].nunique() > 20
    assert (table["pred_class"] == (table["prob_positive"] >= 0.5)).all()
    assert len(read_predictions(trained.folder / "predictions.csv")) == len(table)


def test_frozen_classifiers_repeat_the_predictions(trained, real):
    """Through PIL, one tile at a time, in the arms that leave tiles as they are."""
    predictions = trained.predictions.set_index(["arm", "seed", "tile"]).sort_index()["prob_positive"]
    for classifier in read_classifiers(trained.folder / "classifiers"):
        if classifier.arm == "stain-norm":
            continue
        network = classifier.load(trained.folder / "classifiers", torch.device("cpu"))
        for file, expected in predictions[classifier.arm, classifier.seed].items():
            pixels = torch.from_numpy(real.read(file)).permute(2, 0, 1)[None]
            with torch.inference_mode():
                answer = network.module(network.prepare(pixels, classifier.input_px)).softmax(1)[0, 1]
            assert float(answer) == pytest.approx(expected, abs=2e-5)


def test_best_weights_stay(toy, trained, real):
    """The frozen weights give the lowest validation loss of the history, on real tiles alone."""
    rows = toy.split.rows(real.manifest, "0", "val")
    tiles = torch.from_numpy(np.stack(list(real.images(list(rows["file"]))))).permute(0, 3, 1, 2)
    truth = torch.tensor(rows["label"].tolist())
    history = pd.DataFrame(trained.record["tables"]["history"]).set_index(["arm", "seed"])
    for classifier in read_classifiers(trained.folder / "classifiers"):
        if classifier.arm == "stain-norm":
            continue
        network = classifier.load(trained.folder / "classifiers", torch.device("cpu"))
        with torch.inference_mode():
            answers = network.module(network.prepare(tiles, 32))
        best = history.loc[(classifier.arm, classifier.seed)].sort_values("val_loss").iloc[0]
        assert float(F.cross_entropy(answers, truth)) == pytest.approx(best["val_loss"], rel=1e-4)
        row = next(
            r for r in trained.record["tables"]["arms"] if (r["arm"], r["seed"]) == (classifier.arm, classifier.seed)
        )
        assert row["best_epoch"] == best["epoch"]
        assert row["val_auroc"] == best["val_auroc"]


def test_record_counts(trained):
    assert len(read_record(ClassifierRecord, trained.record).history) == len(trained.record["tables"]["history"])
    added = {(row["arm"], row["real_tiles"], row["added_tiles"]) for row in trained.record["tables"]["arms"]}
    assert added == {(arm, REAL, 11 if arm.startswith("bi100") else 0) for arm in ARMS}
    assert [row["tiles"] for row in trained.record["tables"]["parts"]] == [24, 12, 12]
    assert trained.record["upstream"][0]["stage"] == "generate"
    assert read_json(trained.folder / "classifiers" / "records.json")[-1]["stage"] == "classifier_cv"
    assert trained.record["backbone_trained"] is False


def test_arms_start_alike_and_end_apart(toy):
    first = toy.run("start", arms=["none", "bi100"], learning_rate=1e-12)
    weights = [
        load_file(first.folder / "classifiers" / arm / "seed0.safetensors")["conv1.0.weight"]
        for arm in ("none", "bi100")
    ]
    other = load_file(first.folder / "classifiers" / "none" / "seed1.safetensors")["conv1.0.weight"]
    torch.testing.assert_close(*weights, atol=1e-6, rtol=0)
    assert not torch.allclose(weights[0], other, atol=1e-3)


def test_lineage_names_everyone_seen(toy, trained):
    lineage = Lineage.read(trained.folder / "classifiers" / "lineage.json")
    assert set(lineage.patients) == toy.split.part("0", "train", "val")
    assert (lineage.plan, lineage.fold, lineage.scheme) == (toy.split.digest, "0", "binary")


def test_page_stands_alone(trained):
    page = (trained.folder / "page.html").read_text()
    assert page.count("<svg") == len(ARMS) * 2
    assert "http" not in page and "src=" not in page
    assert "2 classifiers per arm" in page and "it takes 3" in page
    assert all(arm in page for arm in ARMS) and "predicted FTC+PTC" in page


def test_same_seed_same_bytes(toy, trained):
    again = toy.run("again", arms=ARMS[:2], epochs=3, learning_rate=0.003)
    lines = (trained.folder / "predictions.csv").read_text().splitlines()
    expected = [lines[0], *(line for line in lines[1:] if ",none," in line or ",stain-aug," in line)]
    assert (again.folder / "predictions.csv").read_text().splitlines() == expected


def test_synthetic_tiles_reach_only_their_arm(toy, lineage, tmp_path, trained):
    tiles = write_synthetic(tmp_path / "synthetic.zip", lineage, seed=99)
    other = (
        replace(toy, synthetic=tiles).run("other", arms=["none", "bi100"], epochs=3, learning_rate=0.003).predictions
    )
    for arm, same in (("none", True), ("bi100", False)):
        before, after = (
            table.loc[table["arm"] == arm, "prob_positive"].to_numpy() for table in (trained.predictions, other)
        )
        assert np.array_equal(before, after) is same


@pytest.mark.parametrize("part", ["test", "val"])
def test_refuses_a_generator_that_saw_an_unseen_patient(toy, lineage, with_lineage, part):
    slipped = sorted(toy.split.part("0", part))[0]
    leaked = with_lineage(patients=sorted([*lineage.patients, slipped]))
    with pytest.raises(LeakageError, match=slipped):
        leaked.run(f"leaked {part}", arms=["none"])
    assert not (toy.folder / f"leaked {part}" / "predictions.csv").exists()
    allowed = leaked.run(f"allowed {part}", arms=["none", "bi100", "bi100-real"], allow_leakage=True)
    marks = {entry["arm"]: entry["mark"] for entry in allowed.classifiers}
    assert "LEAKED" in marks["bi100"] and not marks["none"] and not marks["bi100-real"]
    assert {row["arm"] for row in allowed.record["tables"]["arms"] if row["mark"]} == {"bi100"}
    assert "LEAKED" in (allowed.folder / "page.html").read_text()


@pytest.mark.parametrize("changes", [{"key_id": "0" * 12}, {"plan": "f" * 64}, {"patients": []}, {}])
def test_refuses_what_cannot_be_proven_disjoint(with_lineage, changes):
    doubtful = with_lineage(**changes)
    with pytest.raises(LeakageError):
        doubtful.run("doubtful", arms=["none"])
    trusted = doubtful.run("trusted", arms=["bi100"], trust_origin="made by B. from public data")
    assert {entry["mark"] for entry in trusted.classifiers} == {"origin trusted: made by B. from public data"}


def test_only_training_patients_give_stains_and_fourier_references(toy, trained, tmp_path):
    """With other validation and test tiles the fits are the same, and so is the first epoch of training."""

    def fitted(patients):
        def bleached(patient, pixels):
            return 255 - (255 - pixels) // 2 if patient in patients else pixels

        changed = replace(toy, tiles=write_tiles(tmp_path / f"{min(patients)}.zip", bleached))
        result = changed.run(f"stain {min(patients)}", arms=["stain-norm", "stain-aug"], learning_rate=0.003)
        return of(result)

    def of(result):
        stains = {
            (entry["arm"], entry["seed"]): entry["stain"] for entry in result.classifiers if "stain" in entry["arm"]
        }
        losses = {
            (row["arm"], row["seed"]): row["train_loss"]
            for row in result.record["tables"]["history"]
            if row["epoch"] == 1 and "stain" in row["arm"]
        }
        return stains, losses

    stains, losses = of(trained)
    assert fitted(range(6, 12)) == (stains, losses)
    others = fitted(range(6))
    assert all(others[0][key] != stains[key] and others[1][key] != losses[key] for key in stains)
    assert len(stains) == 4 and all(stain["method"] == "macenko" for stain in stains.values())
    assert {entry["arm"]: entry["stain"] for entry in trained.classifiers}["none"] is None


def test_fold_all_has_a_header_only(toy, lineage, tmp_path):
    everyone = replace(lineage, fold="all", patients=sorted(toy.split.part("all", "train")))
    result = replace(toy, synthetic=write_synthetic(tmp_path / "synthetic.zip", everyone)).run(
        "all", fold="all", arms=["none"]
    )
    text = (result.folder / "predictions.csv").read_text()
    assert text == "tile,patient,case,site,diagnosis,class,pred_class,prob_positive,arm,fold,seed\n"
    assert {entry["fold"] for entry in result.classifiers} == {"all"}
    assert "no test patients" in (result.folder / "page.html").read_text()


def test_diagnosis_chain(toy, lineage, tmp_path):
    synthetic = write_synthetic(tmp_path / "synthetic.zip", replace(lineage, scheme="diagnosis"), scheme="diagnosis")
    result = replace(toy, synthetic=synthetic).run("diagnosis", scheme="diagnosis", arms=["mc", "mc-real"])
    assert {row["added_tiles"] for row in result.record["tables"]["arms"]} == {6 + 5 + 5}
    assert set(result.predictions["class"]) == {0, 1}


def test_published_way_predicts_fields(toy, tmp_path):
    arms = ["none", "bi100", "bi100-real"]
    result = toy.run("published", arms=arms, published=True)
    for _, rows in result.predictions.groupby(["arm", "seed"]):
        assert rows["tile"].tolist() == ["9.png", "10.png", "11.png"] and rows["patient"].tolist() == ["9", "10", "11"]
    parts = result.record["tables"]["parts"]
    assert [part["fields"] for part in parts] == [6, 3, 3]  # of four tiles each
    added = {row["arm"]: (row["real_tiles"], row["added_tiles"]) for row in result.record["tables"]["arms"]}
    assert added == {"none": (6, 0), "bi100": (6, 11), "bi100-real": (6, 11)}
    assert "one square of a field" in (result.folder / "page.html").read_text()
    again = toy.run("published again", arms=arms[:1], published=True).predictions
    assert again["prob_positive"].tolist() == result.predictions["prob_positive"].tolist()[: len(again)]
    with ImageArchive(toy.tiles) as real, ArchiveWriter(tmp_path / "tiles.zip") as silent:
        for row in real.manifest.to_dict("records"):
            silent.add(real.read_bytes(row["file"]), row)
    with pytest.raises(DataError, match="does not say how large its tiles were cut"):
        replace(toy, tiles=tmp_path / "tiles.zip").run("refused", published=True)


def test_reinhard_on_request(toy):
    result = toy.run("reinhard", arms=["stain-norm"], stain_method="reinhard")
    assert {entry["stain"]["method"] for entry in result.classifiers} == {"reinhard"}
    assert not any(entry["mark"] for entry in result.classifiers)
    with pytest.raises(ConfigError, match="one of macenko, reinhard"):
        toy.run("refused", arms=["stain-norm"], stain_method="vahadane")


def test_youden_threshold_goes_along(toy, tmp_path):
    StudyPlan(arms=["none", "bi100"], seeds=[0], threshold="youden").write(tmp_path / "study.json")
    result = replace(toy, study=tmp_path / "study.json").run("youden", arms=["none"], epochs=2)
    threshold = result.classifiers[0]["threshold"]
    table = result.predictions
    assert threshold != 0.5 and table["threshold"].tolist() == pytest.approx([threshold] * len(table), abs=1e-6)
    assert (table["pred_class"] == (table["prob_positive"] >= threshold)).all()


def test_refuses_other_arms_schemes_sizes_and_settings(toy, lineage, tmp_path):
    StudyPlan(arms=["none", "bi100"], seeds=[0]).write(tmp_path / "study.json")
    with pytest.raises(ConfigError, match="stain-aug"):
        replace(toy, study=tmp_path / "study.json").run("refused", arms=["none", "stain-aug"])
    with pytest.raises(ConfigError, match="--scheme diagnosis"):
        toy.run("refused", arms=["none", "mc"])
    with pytest.raises(DataError, match="16 px, the real ones 32 px"):
        small = write_synthetic(tmp_path / "small.zip", lineage, side=16)
        replace(toy, synthetic=small).run("refused", arms=["none"])
    with pytest.raises(ConfigError, match="at least 2"):
        toy.run("refused", batch=1)
    with pytest.raises(ConfigError, match="at least 1"):
        toy.run("refused", epochs=0)
    with pytest.raises(DataError, match="no fold"):
        toy.run("refused", fold="7")
    assert not (toy.folder / "refused").exists()


@pytest.mark.parametrize(
    ("changes", "message"), [({"label": None}, "no class"), ({"mpp": 0.25, "site": "B"}, "magnif")]
)
def test_refuses_tiles_without_a_class_or_of_two_magnifications(toy, tmp_path, changes, message):
    tiles = rewrite(toy.tiles, tmp_path / "tiles.zip", "0", **changes)
    with pytest.raises(DataError, match=message):
        replace(toy, tiles=tiles).run("refused", arms=["none"])


def test_learns_on_unseen_patients_from_trained_weights(toy):
    """EfficientNet-Lite0 from ImageNet, 32 px tiles seen at 64 px."""
    result = toy.run(
        "learns", arms=["none"], backbone="efficientnet_lite0", pretrained=True, input_px=64, epochs=5, batch=8
    )
    table = result.predictions
    assert roc_auc_score(table["class"], table["prob_positive"]) > 0.9
    assert result.record["backbone_trained"] is True and len(result.record["weights_sha256"]) == 64
