"""Thy-GAN's protocol as a user starts it, in miniature: one generator for all folds, every number of them marked."""

import json
import re
import subprocess
import sys

import pandas as pd
import pytest

from components.core.options.profiles import PROFILES
from components.groups import resolve_groups
from pipelines.demo import write_study
from pipelines.study.parameters import uses_one_generator
from tests.pipelines.small_study import small_options


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    write_study(folder / "data", seed=3, patients=16, images_per_patient=1, size_px=96, external_patients=12)
    command = ["run", "--source", folder / "data/hospital-a", "--external", folder / "data/hospital-b"]
    command += ["--out", folder / "out", "--split.arms", "none", "bi100", "mc100"]
    command += ["--shared.published", "--shared.allow-leakage", *small_options(60)]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", *map(str, command)], text=True, capture_output=True, timeout=1500
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    return folder / "out", done.stdout


def test_each_scheme_has_one_generator(out):
    trained = re.findall(r"gan_train fold (\S+) (\S+): started", out[1])
    assert sorted(trained) == [("all", "binary"), ("all", "diagnosis")]
    lineages = [
        json.loads(one.read_text()) for one in out[0].glob("artifacts/**/pick-generator/generator/lineage.json")
    ]
    assert {one["scheme"] for one in lineages} == {"binary", "diagnosis"}
    assert {one["fold"] for one in lineages} == {"all"}


def test_every_generator_arm_s_cross_validation_is_marked_and_nothing_external_is(out):
    record = json.loads((out[0] / "metrics.json").read_text())
    cv = {name for name in record if name.startswith("cv_accuracy")}
    assert cv == {"cv_accuracy_none", "cv_accuracy_bi100_LEAKED_OR_TRUSTED", "cv_accuracy_mc100_LEAKED_OR_TRUSTED"}
    assert not [name for name in record if name.startswith("hospital-b") and "LEAKED" in name]
    page = (out[0] / "report.html").read_text()
    rows = re.findall(r'<tr data-arm="(\w+)"><th scope="row">(.*?)</th>', page[: page.index('id="external"')], re.S)
    assert {arm: "LEAKED" in cell for arm, cell in rows} == {"none": False, "bi100": True, "mc100": True}


def test_the_report_sets_the_claim_beside_the_predictions(out):
    page = (out[0] / "report.html").read_text()
    for number in ("+44.0 %", "+52.5 %", "+35.7 %", "+42.3 %"):
        assert number in page
    assert "do not reproduce the claimed gains" in page and "Generator card: binary classes, fold all" in page


def test_one_prediction_a_field(out):
    table = pd.concat(pd.read_csv(one) for one in out[0].glob("artifacts/**/classifier-cv/predictions"))
    assert len(table) and not table.duplicated(["patient", "case", "tile", "arm", "seed"]).any()


def test_profiles_open_with_their_command_and_say_what_the_pipeline_takes():
    for path in PROFILES.glob("*.yaml"):
        assert path.read_text().splitlines()[1].startswith(f"# thygan run --profile {path.stem} ")
        assert uses_one_generator(resolve_groups(path.stem, {})["shared"]) is (path.stem == "published")
