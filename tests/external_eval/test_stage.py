"""Frozen classifiers on external sites: joined labels, admitted sites, complete predictions, scikit-learn's numbers."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score

from components.core.classifier.frozen import FrozenClassifier, read_classifiers, save_weights, write_classifiers
from components.core.data.archive import ArchiveWriter, ImageArchive
from components.core.data.manifest import read_manifest, write_manifest
from components.core.errors import ConfigError, DataError, LeakageError
from components.core.features.backbones import build_backbone
from components.core.io.atomic_files import file_sha256, read_json, write_json
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import Lineage, identity, key_id
from components.core.protocol.study_plan import StudyPlan
from components.core.records.external_eval import EvaluationRecord
from components.core.records.stage_record import read_record
from components.core.stain.normalization import NORMALISE, StainFit, fit_stain, normalise
from components.core.statistics.predictions import read_predictions
from components.external_eval.options import EvaluationOptions
from components.external_eval.stage import run

KEY = b"a study key for the toy tests"
CLASS_MAP = {"FA": 0, "PTC": 1}
# site -> the diagnosis and class of each patient; "NSC" is in no class map
SITES = {
    "north": [("FA", 0), ("PTC", 1), ("FA", 0), ("PTC", 1), ("NSC", 1)],
    "south": [("PTC", 1), ("PTC", 1)],
    "slides": [("FA", 0), ("PTC", 1), ("PTC", 1)],
}
NETWORK = "shufflenet_v2_x0_5"


@dataclass(frozen=True)
class Outside:
    """Inputs of the stage; `run` calls it."""

    classifiers: list[Path]
    study: Path
    tiles: Path
    labels: Path

    def run(self, out: Path, **options: Any) -> Path:
        run(
            classifiers=[str(folder) for folder in self.classifiers],
            study=str(self.study),
            tiles=str(self.tiles),
            labels=str(self.labels),
            external_predictions=str(out / "predictions.csv"),
            roc=str(out / "roc.json"),
            evaluation_record=str(out / "metrics.json"),
            options=EvaluationOptions(**options),
            shared=SharedOptions(device="cpu"),
        )
        return out


def person(site: str, number: int) -> str:
    return identity(KEY, site, str(number))


def write_external(folder: Path, sites: dict[str, list[tuple[str, int]]], **changes: Any) -> tuple[Path, Path]:
    """A blind tile set and its labels; 3 tiles a patient, brightness tells the class."""
    rng = np.random.default_rng(0)
    labels = []
    with ArchiveWriter(folder / "external.zip") as archive:
        for site, patients in sites.items():
            for number, (diagnosis, label) in enumerate(patients):
                for _ in range(3):
                    pixels = rng.integers(40, 140, (16, 16, 3)) + 60 * label
                    row = {
                        "patient": "" if site == "slides" else str(number),
                        "case": "" if site == "slides" else str(number),
                        "site": site,
                        "source": f"{number}.png",
                        "mpp": None if site == "slides" else 0.5,
                        "identity": "" if site == "slides" else person(site, number),
                        **changes,
                    }
                    archive.add(pixels.astype(np.uint8), {**row, "label": None, "diagnosis": ""})
                    labels.append((label, diagnosis))
        archive.attach("records.json", [{"stage": "tile", "tables": {}}])
    with ImageArchive(folder / "external.zip") as archive:
        columns = pd.DataFrame(labels, columns=["label", "diagnosis"])
        write_manifest(folder / "labels.csv", archive.manifest.assign(**columns))
    return folder / "external.zip", folder / "labels.csv"


def write_folder(folder: Path, scheme: str, arms: dict[str, StainFit | None], patients: list[str], study: str) -> Path:
    """Classifiers of random weights, two seeds an arm, with the files around them."""
    made = []
    for index, (arm, stain) in enumerate(arms.items()):
        for seed in (0, 1):
            network = build_backbone(NETWORK, num_classes=2, pretrained=False, seed=10 * index + seed)
            for layer in network.module.modules():  # random weights answer alike; let them say something
                if isinstance(layer, torch.nn.BatchNorm2d):
                    layer.running_var.fill_(0.15)
            file = save_weights(network, folder, f"{arm}/seed{seed}.safetensors")
            made.append(
                FrozenClassifier(
                    arm=arm,
                    seed=seed,
                    fold="all",
                    scheme=scheme,
                    file=file,
                    sha256=file_sha256(folder / file),
                    backbone=NETWORK,
                    input_px=32,
                    resolution=16,
                    mpp=0.5,
                    threshold=0.5,
                    stain=stain.to_dict() if stain else None,
                    mark="LEAKED: for the test" if arm == "mc" else "",
                    study=study,
                )
            )
    write_classifiers(folder, made)
    write_json(folder / "lineage.json", Lineage(key_id(KEY), "plan", "all", scheme, patients).to_dict())
    write_json(folder / "records.json", [{"stage": "pack", "tables": {}}, {"stage": scheme, "tables": {}}])
    return folder


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("outside")
    arms = ["none", "stain-norm", "bi100", "bi100-real", "mc"]
    study = StudyPlan(
        arms=arms, seeds=[0, 1], class_map=CLASS_MAP, external_sites=list(SITES), tile_level_sites=["slides"]
    )
    study.write(folder / "study.json")
    seen = sorted(person("home", number) for number in range(4))
    rng = np.random.default_rng(1)
    stain = fit_stain(torch.from_numpy(rng.integers(60, 200, (4, 3, 16, 16), dtype=np.uint8)), NORMALISE, 0)
    binary = {"none": None, "stain-norm": stain, "bi100": None, "bi100-real": None}
    return Outside(
        [
            write_folder(folder / "binary", "binary", binary, seen, study.digest),
            write_folder(folder / "diagnosis", "diagnosis", {"mc": None}, seen, study.digest),
        ],
        folder / "study.json",
        *write_external(folder, SITES),
    )


@pytest.fixture(scope="module")
def out(outside, tmp_path_factory):
    return outside.run(tmp_path_factory.mktemp("out"), batch=8)


@pytest.fixture(scope="module")
def table(out):
    return read_predictions(out / "predictions.csv")


@pytest.fixture(scope="module")
def rows(out):
    return pd.DataFrame(read_json(out / "metrics.json")["tables"]["sites"]).set_index(["site", "arm"])


def test_every_tile_once_per_arm_and_seed(outside, table):
    labels = read_manifest(outside.labels)
    assert len(table) == len(labels) * 5 * 2
    for _, subset in table.groupby(["arm", "seed"]):
        assert subset["tile"].tolist() == labels["file"].tolist()
        assert subset["class"].tolist() == labels["label"].tolist()
        assert subset["diagnosis"].tolist() == labels["diagnosis"].tolist()
    assert (table.loc[table["site"] == "slides", "patient"] == "").all()
    assert set(table["fold"]) == {"all"}


def test_probabilities_are_the_networks_own(outside, table):
    """One tile at a time, in the arms that leave tiles as they are; the stain arm through its stored fit."""
    with ImageArchive(outside.tiles) as archive:
        tiles = torch.from_numpy(np.stack(list(archive.images()))).permute(0, 3, 1, 2)
        sources = list(archive.manifest["site"] + archive.manifest["source"])
    for folder in outside.classifiers:
        for classifier in read_classifiers(folder):
            seen = normalise(StainFit(**classifier.stain), tiles, sources)[0] if classifier.stain else tiles
            network = classifier.load(folder, torch.device("cpu"))
            with torch.inference_mode():
                expected = [float(network.module(network.prepare(t[None], 32)).double().softmax(1)[0, 1]) for t in seen]
            predicted = table[(table["arm"] == classifier.arm) & (table["seed"] == str(classifier.seed))][
                "prob_positive"
            ]
            np.testing.assert_allclose(predicted, expected, atol=1e-4)  # other batches, other rounding
    assert table["prob_positive"].nunique() > 100


def test_patient_rows_against_scikit_learn(table, rows):
    subset = table[(table["site"] == "north") & (table["arm"] == "bi100")]
    cases = subset.groupby("case").agg(
        truth=("class", "first"), vote=("pred_class", "mean"), score=("prob_positive", "mean")
    )
    voted = (cases["vote"] > 0.5).astype(int)
    row = rows.loc[("north", "bi100")]
    assert row["level"] == "patient" and row["n"] == 5
    assert row["accuracy"] == pytest.approx(accuracy_score(cases["truth"], voted))
    assert row["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(cases["truth"], voted))
    assert row["macro_f1"] == pytest.approx(f1_score(cases["truth"], voted, average="macro"))
    assert row["auroc"] == pytest.approx(roc_auc_score(cases["truth"], cases["score"]))


def test_constant_answers_stand_in_every_site(rows):
    for site, share in (("north", 3 / 5), ("south", 1.0), ("slides", 6 / 9)):
        assert rows.loc[(site, "always PTC")]["accuracy"] == pytest.approx(share)
        assert rows.loc[(site, "always FA")]["accuracy"] == pytest.approx(1 - share)
    assert rows.loc[("north", "always PTC")]["balanced_accuracy"] == pytest.approx(0.5)


def test_one_class_site_has_no_auroc(rows):
    row = rows.loc[("south", "none")]
    assert row["n"] == 2 and pd.isna(row["auroc"]) and pd.isna(row["balanced_accuracy"])
    assert 0 <= row["accuracy"] <= 1


def test_tile_level_site_counts_tiles(table, rows):
    row = rows.loc[("slides", "none")]
    subset = table[(table["site"] == "slides") & (table["arm"] == "none")].groupby("tile")
    assert row["level"] == "tile" and row["n"] == 9
    assert row["auroc"] == pytest.approx(roc_auc_score(subset["class"].first(), subset["prob_positive"].mean()))


def test_marks_go_along(rows):
    assert rows.loc[("north", "none")]["mark"] == ""
    assert rows.loc[("slides", "none")]["mark"] == "um/px unknown"
    assert rows.loc[("slides", "mc")]["mark"] == "LEAKED: for the test; um/px unknown"


def test_roc_is_of_the_last_generator_arm_over_patients(out, table):
    drawn = read_json(out / "roc.json")
    subset = table[(table["arm"] == "mc") & (table["site"] != "slides")].groupby(["site", "case"])
    truth, score = subset["class"].first(), subset["prob_positive"].mean()
    assert drawn["arm"] == "mc" and drawn["classes"] == ["FA", "PTC"]
    assert np.trapezoid(drawn["tpr"], drawn["fpr"]) == pytest.approx(roc_auc_score(truth, score))
    assert (drawn["fpr"][0], drawn["tpr"][0], drawn["fpr"][-1], drawn["tpr"][-1]) == (0, 0, 1, 1)
    assert np.isfinite(drawn["threshold"]).all() and len(drawn["threshold"]) == len(drawn["fpr"]) <= 200
    assert np.sum(drawn["confusion"]) == 7 and np.sum(drawn["confusion"][1]) == truth.sum()


def test_record_carries_both_chains_once(out):
    record = read_json(out / "metrics.json")
    assert [raw["stage"] for raw in record["upstream"]] == ["pack", "binary", "diagnosis"]
    assert (record["vote"], record["threshold"]) == ("majority", "0.5") and "AUROC" in record["endpoint"]
    assert (record["tiles"], record["patients"], record["classifiers"], record["sites"]) == (30, 7, 10, 3)
    rows = read_record(EvaluationRecord, record).sites
    assert [(row.arm, row.site) for row in rows] == [(row["arm"], row["site"]) for row in record["tables"]["sites"]]


def test_twice_gives_the_same_bytes(outside, out, tmp_path):
    outside.run(tmp_path, batch=8)
    for name in ("predictions.csv", "roc.json"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_a_seen_patient_is_refused(outside, tmp_path):
    seen = person("north", 2)
    plan = replace(StudyPlan.read(outside.study), arms=["none"])
    plan.write(tmp_path / "study.json")
    outside = replace(outside, study=tmp_path / "study.json")
    folder = write_folder(tmp_path / "other", "binary", {"none": None}, [seen], plan.digest)
    with pytest.raises(LeakageError, match=seen):
        replace(outside, classifiers=[folder]).run(tmp_path / "out")
    assert not (tmp_path / "out" / "predictions.csv").exists()
    write_json(folder / "lineage.json", Lineage("other", "plan", "all", "binary", ["other-1"]).to_dict())
    with pytest.raises(LeakageError, match="they cannot be compared"):
        replace(outside, classifiers=[folder]).run(tmp_path / "out")
    (folder / "lineage.json").unlink()
    with pytest.raises(LeakageError, match=r"no lineage\.json"):
        replace(outside, classifiers=[folder]).run(tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.iloc[1:], "not the same"),
        (lambda table: table.assign(sha256=table["sha256"].iloc[::-1].to_numpy()), "not those that were labelled"),
        (lambda table: table.assign(label=table["label"].where(table["diagnosis"] != "NSC")), "have no class"),
    ],
)
def test_labels_of_other_tiles_are_refused(outside, tmp_path, change, message):
    write_manifest(tmp_path / "labels.csv", change(read_manifest(outside.labels)))
    with pytest.raises(DataError, match=message):
        replace(outside, labels=tmp_path / "labels.csv").run(tmp_path)


def test_labels_may_come_in_another_order(outside, out, tmp_path):
    write_manifest(tmp_path / "labels.csv", read_manifest(outside.labels).iloc[::-1])
    replace(outside, labels=tmp_path / "labels.csv").run(tmp_path, batch=8)
    assert (tmp_path / "predictions.csv").read_bytes() == (out / "predictions.csv").read_bytes()


def under(outside, folder, **changes):
    """The same study under another plan, with classifiers that were trained for it."""
    plan = replace(StudyPlan.read(outside.study), **changes)
    plan.write(folder / "study.json")
    copies = []
    for old in outside.classifiers:
        new = folder / old.name
        shutil.copytree(old, new)
        write_classifiers(new, [replace(classifier, study=plan.digest) for classifier in read_classifiers(old)])
        copies.append(new)
    return replace(outside, study=folder / "study.json", classifiers=copies)


def test_sites_outside_the_plan_are_refused(outside, tmp_path):
    (tmp_path / "tiles").mkdir()
    with pytest.raises(ConfigError, match="slides, south, only north"):
        under(outside, tmp_path, external_sites=["north"], tile_level_sites=[]).run(tmp_path)
    with pytest.raises(DataError, match="tile-level"):
        under(outside, tmp_path / "tiles", tile_level_sites=[]).run(tmp_path)


def test_another_plan_is_refused(outside, tmp_path):
    plan = StudyPlan.read(outside.study)
    for changes in ({"threshold": "youden"}, {"arms": ["none", "bi100"]}, {"endpoint": "what came out best"}):
        replace(plan, **changes).write(tmp_path / "study.json")
        with pytest.raises(ConfigError, match="was trained for the study plan"):
            replace(outside, study=tmp_path / "study.json").run(tmp_path)


def test_an_arm_or_a_seed_left_out_is_refused(outside, tmp_path):
    with pytest.raises(ConfigError, match=r"2 classifier.s. that are missing .mc seed 0, mc seed 1"):
        replace(outside, classifiers=outside.classifiers[:1]).run(tmp_path)
    with pytest.raises(ConfigError, match="bi100-real seed 2"):
        under(outside, tmp_path, seeds=[0, 1, 2]).run(tmp_path)


def test_no_site_list_admits_every_site(outside, tmp_path):
    only = under(outside, tmp_path, external_sites=[])
    assert len(read_predictions(only.run(tmp_path) / "predictions.csv")) == 30 * 5 * 2


def test_another_magnification_is_refused(outside, tmp_path):
    tiles, labels = write_external(tmp_path, {"north": SITES["north"]}, mpp=0.25)
    with pytest.raises(DataError, match=r"site north have 0\.25 um/px"):
        replace(outside, tiles=tiles, labels=labels).run(tmp_path)


def test_an_arm_in_two_folders_is_refused(outside, tmp_path):
    twice = [outside.classifiers[1], outside.classifiers[1]]
    with pytest.raises(ConfigError, match="two folders"):
        replace(outside, classifiers=twice).run(tmp_path)
    with pytest.raises(ConfigError, match="no classifiers"):
        replace(outside, classifiers=[]).run(tmp_path)


def test_no_external_tiles(outside, tmp_path):
    tiles, labels = write_external(tmp_path, {})
    replace(outside, tiles=tiles, labels=labels).run(tmp_path)
    text = (tmp_path / "predictions.csv").read_text()
    assert text == "tile,patient,case,site,diagnosis,class,pred_class,prob_positive,arm,fold,seed\n"
    record = read_json(tmp_path / "metrics.json")
    assert record["tables"]["sites"] == [] and record["note"] == "no external tiles were given"
    assert read_json(tmp_path / "roc.json")["fpr"] == []
