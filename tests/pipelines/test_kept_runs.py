"""Runs that keep what they make in a real S3 store: found again on an empty disk, and only what changed made anew."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import zipfile
from zipfile import ZipFile

import pandas as pd
import pytest
from PIL import Image

from components.core.data.archive import ImageArchive
from components.core.data.content_hash import content_hash
from components.core.io.atomic_files import file_sha256
from components.core.protocol.lineage import KEY_VARIABLE, identity
from pipelines.demo import write_study
from tests.core.real_s3 import BUCKET
from tests.pipelines.small_study import small_options

pytest_plugins = ["tests.core.real_s3"]
KEY = "a study key for tests only"
OPTIONS = [*small_options(60), "--split.arms", "none", "bi100"]
COSTLY = ("pack", "gan_train", "fid_select", "generate", "classifier_cv", "external_eval", "umap")
FOLDS = ("0", "1", "all")


@pytest.fixture(scope="module")
def environment(s3_server, tmp_path_factory):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "THYGAN_"))}
    return kept | {
        "THYGAN_S3_ENDPOINT": f"http://{s3_server.host}",
        "AWS_ACCESS_KEY_ID": s3_server.key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret,
        KEY_VARIABLE: KEY,
        "THYGAN_TAG": "src-0123456789ab",
    }


def thygan(environment, *arguments):
    command = [sys.executable, "-m", "pipelines", *map(str, arguments)]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=1500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def runs(environment, tmp_path_factory):
    """The same data twice, each time on an empty disk; then with one image more of one patient."""
    folder = tmp_path_factory.mktemp("kept")
    store = f"s3://{BUCKET}/{secrets.token_hex(4)}"
    data = folder / "study"
    write_study(data, seed=3, patients=16, images_per_patient=1, size_px=96, external_patients=8)
    places = ["--source", data / "hospital-a", "--external", data / "hospital-b", "--store", store]

    def study(out):
        return thygan(environment, "run", *places, "--out", folder / out, *OPTIONS)

    outputs = [study("first")]
    shutil.rmtree(folder / "first" / "objects")
    outputs.append(study("second"))
    table = pd.read_csv(data / "hospital-a" / "meta.csv")
    grown = table.iloc[[0]].assign(file="another.png")
    images = data / "hospital-a" / "images"
    with Image.open(images / table["file"][1]) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(images / "another.png")
    pd.concat([table, grown]).to_csv(data / "hospital-a" / "meta.csv", index=False)
    outputs.append(study("third"))
    return folder, store, outputs, str(table["patient"][0])


@pytest.fixture(scope="module")
def by_reference(runs, environment):
    """The third run's data once more, in an empty store, with archives in a bucket."""
    folder, store, _, _ = runs
    data, other, archives = folder / "study", f"{store}-other", f"{store}-archives"
    places = ["--source", data / "hospital-a", "--external", data / "hospital-b", "--store", other]
    output = thygan(
        environment | {"THYGAN_ARCHIVES": archives}, "run", *places, "--out", folder / "by-reference", *OPTIONS
    )
    return folder / "by-reference", other, archives, output


def taken(output):
    """Tasks that were found in the store, "gan_train fold 0 binary"."""
    return set(re.findall(r"s  (\S.*): \w+: taken from ", output))


def made(output):
    return set(re.findall(r"s  (\S.*): started$", output, re.MULTILINE)) - taken(output)


def test_the_same_data_train_nothing_again(runs):
    _, _, (first, second, _), _ = runs
    assert taken(first) == set()
    assert {one.split()[0] for one in made(first)} >= set(COSTLY)
    assert {one.split()[0] for one in taken(second)} >= set(COSTLY)
    assert not {one.split()[0] for one in made(second)} & set(COSTLY)


def test_an_image_more_makes_anew_what_depends_on_it(runs, environment):
    folder, store, (_, _, third), patient = runs
    plan = next(one for one in listed(environment, store, "--type", "SplitPlan"))
    thygan(environment, "artifacts", "pull", plan["uri"], folder / "plan.json", store)
    folds = json.loads((folder / "plan.json").read_text())["folds"]
    name = identity(KEY.encode(), "hospital-a", patient)
    learnt = {fold for fold in FOLDS if name in folds[fold]["train"]}
    assert 0 < len(learnt) < len(FOLDS)
    for fold in FOLDS:
        task = f"gan_train fold {fold} binary"
        assert task in (made(third) if fold in learnt else taken(third))
        held_out = name in folds[fold]["train"] + folds[fold]["val"]
        assert f"fid_select fold {fold} binary" in (made(third) if held_out else taken(third))
        assert f"classifier_cv fold {fold} binary" in made(third), "its patient is learnt from, validated or tested"


def listed(environment, store, *options):
    return json.loads(thygan(environment, "artifacts", "list", store, *options, "--json"))


def test_every_typed_artifact_is_found_shown_and_pulled(runs, environment):
    folder, store, _, _ = runs
    found = listed(environment, store)
    assert {one["type"].removeprefix("system.") for one in found} >= {
        "TileSet", "Manifest", "SplitPlan", "StudyPlan", "GanDataset", "HeldOut", "GanSnapshots", "Generator",
        "SyntheticTiles", "Classifiers", "Predictions", "DomainGap", "Metrics", "HTML", "Markdown",
    }  # fmt: skip
    runs_there = {one["run"] for one in found}
    assert len(runs_there) == 3
    assert all(one["uri"].startswith(f"{store}/thygan-study/") for one in found)
    generators = listed(environment, store, "--stage", "fid_select", "--type", "Generator", "--run", min(runs_there))
    assert len(generators) == 3
    shown = json.loads(thygan(environment, "artifacts", "show", generators[0]["uri"], store))
    assert shown["type"] == "system.Generator"
    assert shown["made_by"]["stage"] == "fid_select"
    assert {one["content"] for one in shown["made_by"]["read"]["snapshots"]} <= {one["content"] for one in found}
    thygan(environment, "artifacts", "pull", generators[0]["content"][:16], folder / "generator", store)
    for file in shown["files"]:
        assert file_sha256(folder / "generator" / file["name"]) == file["sha256"]


def test_what_lies_torn_in_the_store_is_made_again(runs, environment, s3_server, tmp_path):
    _, store, _, _ = runs
    report = listed(environment, store, "--type", "Markdown")[0]
    name = report["uri"].removeprefix(f"s3://{BUCKET}/")
    (tmp_path / "torn").write_bytes(b"torn")
    s3_server.client().fput_object(BUCKET, name, str(tmp_path / "torn"))
    words = ["artifacts", "pull", report["uri"], str(tmp_path / "report.md"), store]
    command = [sys.executable, "-m", "pipelines", *words]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=120)
    assert done.returncode == 1
    assert "is damaged" in done.stderr
    assert not (tmp_path / "report.md").exists()


def test_a_study_by_reference_is_the_same_study(by_reference, runs, environment, s3_server):
    """Its report and its keys; KFP and the store of results carry references, the archives lie apart, once."""
    out, other, archives, output = by_reference
    folder, store, _, _ = runs
    assert taken(output) == set()
    assert told(out) == told(folder / "third")
    results, before = (records(s3_server, one) for one in (other, store))
    new = sorted({record["stage"] for key, record in results.items() if key not in before})
    assert not {"pack", "gan_train"} & set(new), "they read archives only: behind a reference is the file's content"
    assert sum(record["stage"] in ("pack", "gan_train") for record in results.values()) == 2 * len(FOLDS)
    made_archives = [
        artifact
        for record in results.values()
        for artifact in record["artifacts"].values()
        if artifact["type"] in ("system.TileSet", "system.GanDataset", "system.HeldOut", "system.SyntheticTiles")
    ]
    assert len(made_archives) == 2 + 3 * len(FOLDS)
    for one in made_archives:
        assert one["metadata"]["archive_uri"].startswith(f"{archives}/")
        assert sum(file["size_bytes"] for file in one["files"]) < 1000
    carried = [file for file in (out / "artifacts").rglob("*") if file.is_file()]
    assert not [file for file in carried if zipfile.is_zipfile(file) and "manifest.csv" in ZipFile(file).namelist()]
    packed = next(one for one in made_archives if one["type"] == "system.GanDataset")
    thygan(environment, "artifacts", "pull", packed["uri"], out / "packed.zip", other)
    assert content_hash(out / "packed.zip") == packed["content"]
    with ImageArchive(out / "packed.zip") as pulled:
        assert len(list(pulled.images())) == len(pulled) > 0


def records(server, store):
    """The records of a store's results, by key."""
    bucket, _, prefix = store.removeprefix("s3://").partition("/")
    names = [one.object_name for one in server.client().list_objects(bucket, f"{prefix}/results/", recursive=True)]
    values = [json.loads(server.client().get_object(bucket, name).read()) for name in names]
    return {one["key"]: one for one in values}


def told(out):
    """What a report says, without what tells of the clock."""
    return re.sub(r"[^\n]*(\d s\b|\d min\b|\d h\b|seconds)[^\n]*", "", (out / "report.md").read_text())
