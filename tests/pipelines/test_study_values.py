"""What `run` and `submit` make of a profile and of what is stated over it."""

import json
from pathlib import Path

import pytest

from components.core.errors import ConfigError, DataError
from components.core.store import open_store
from pipelines.cli.app import app
from pipelines.cli.run_inputs import local_arguments
from pipelines.cli.study_values import resolve_study
from pipelines.cluster.client import Cluster

pytest_plugins = ["tests.core.real_s3", "tests.pipelines.kfp_server"]


@pytest.fixture
def profile(tmp_path):
    def write(text):
        (tmp_path / "first.yaml").write_text(text)
        return str(tmp_path / "first.yaml")

    return write


def test_what_is_stated_lies_over_the_profile(profile):
    file = profile("gan: {kimg: 5, batch: 8}\nsplit: {arms: [none, bi100]}\nmpp: {a: 0.5}\nseed: 3\n")
    values = resolve_study(file, {"gan": {"kimg": 7.0}, "mpp": {"b": "unknown"}, "source": "here"})
    assert values.arguments == {
        "source": "here",
        "seed": 3,
        "mpp": {"a": "0.5", "b": "unknown"},
        "gan": {"kimg": 7.0, "batch": 8},
        "split": {"arms": ["none", "bi100"]},
    }
    assert (values.groups["gan"].kimg, values.groups["gan"].batch) == (7.0, 8)
    assert values.groups["split"].arms == ("none", "bi100")


def test_a_shipped_profile_stays_a_name_and_is_resolved_for_the_checks():
    values = resolve_study("demo", {"gan": {"kimg": 1}})
    assert values.arguments["profile"] == "demo"
    assert values.arguments["gan"] == {"kimg": 1.0}
    assert "split" not in values.arguments
    assert values.groups["split"].demonstration
    assert values.groups["tile"].tile_px == 96
    assert resolve_study("published", {}).uses_one_generator
    assert not resolve_study("leak-free", {}).uses_one_generator


def test_nulls_are_left_out_and_numbers_are_canonical(profile):
    file = profile("gan: {kimg: 25000, batch: null, ada_kimg: 100}\ntile: {resolution: null}\nreport: null\n")
    arguments = resolve_study(file, {"shared": {"device": None}, "labels": None}).arguments
    assert json.dumps(arguments) == '{"gan": {"kimg": 25000.0, "ada_kimg": 100.0}}'
    assert resolve_study("", {"gan": {"batch": 8.0}}).arguments == {"gan": {"batch": 8}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kimg: 3", r"Profile first.yaml: kimg is now in the group gan: write `gan: \{kimg: …\}`\."),
        ("gan_batch: 3", r"Profile first.yaml: gan_batch is now in the group gan: write `gan: \{batch: …\}`\."),
        ("gan: {kimgs: 3}", "Profile first.yaml: gan has no option 'kimgs'; did you mean 'kimg'?"),
        ("gan: {kimg: many}", "Profile first.yaml: gan.kimg is 'many': give a number"),
        ("gan: 3", "Profile first.yaml: gan is 3: write a mapping"),
        ("sources: here", "Profile first.yaml: the study has no parameter 'sources'; did you mean 'source'?"),
        ("mpp: {a: [1]}", "mpp of a is"),
        ("seed: true", "Profile first.yaml: seed is True: write a whole number"),
        ("split: {arms: [none, bi300]}", "There is no arm 'bi300'"),
    ],
)
def test_a_wrong_profile_is_one_sentence(text, sentence, profile):
    with pytest.raises(ConfigError, match=sentence):
        resolve_study(profile(text), {})


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Files that a study names, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("own", "other", "splits", "weights"):
        Path(name).mkdir()
    Path("own/a.png").write_bytes(b"an image")
    Path("labels.csv").write_text("file,class\n")
    Path("bi100.json").write_text('{"params": 1}')
    return tmp_path


STATED = {
    "source": "own",
    "external": ["other", "s3://bucket/more"],
    "labels": "labels.csv",
    "external_labels": ["labels.csv", ""],
    "split": {"import_splits": "splits"},
    "shared": {"weights_dir": "weights", "checkpoint_uri": "checkpoints"},
    "generation": {"gan_params": {"bi100": "bi100.json"}},
    "tile": {"data_version": "1"},
}


def test_paths_are_absolute_and_generation_parameters_are_read(data):
    arguments = local_arguments(resolve_study("", STATED), data / "out")
    assert arguments == {
        "source": f"{data}/own",
        "external": [f"{data}/other", "s3://bucket/more"],
        "labels": f"{data}/labels.csv",
        "external_labels": [f"{data}/labels.csv", ""],
        "split": {"import_splits": f"{data}/splits"},
        "shared": {"weights_dir": f"{data}/weights", "checkpoint_uri": f"{data}/checkpoints"},
        "generation": {"gan_params": {"bi100": '{"params": 1}'}},
        "tile": {"data_version": "1"},
    }


def test_the_data_s_version_changes_with_the_data(data):
    values = resolve_study("", {"source": "own", "labels": "labels.csv"})
    versions = [local_arguments(values, data / "out")["tile"]["data_version"] for _ in range(2)]
    Path("own/a.png").write_bytes(b"another image")
    versions.append(local_arguments(values, data / "out")["tile"]["data_version"])
    assert versions[0] == versions[1] != versions[2]
    assert "tile" not in values.arguments, "the study's own values are unchanged"


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({"source": ""}, "--source DIR"),
        ({"source": "nowhere"}, "--source nowhere does not exist"),
        ({"external": ["nowhere"]}, "--external nowhere does not exist"),
        ({"labels": "nowhere.csv"}, "label file nowhere.csv"),
        ({"split": {"import_splits": "nowhere"}}, "--split.import-splits nowhere does not exist"),
        ({"shared": {"weights_dir": "nowhere"}}, "--shared.weights-dir nowhere does not exist"),
        ({"generation": {"gan_params": {"bi100": "nowhere"}}}, "nowhere cannot be read"),
    ],
)
def test_what_does_not_exist_is_named_before_anything_runs(stated, sentence, data):
    with pytest.raises((ConfigError, DataError), match=sentence):
        local_arguments(resolve_study("", STATED | stated), data / "out")


def test_a_demonstration_without_images_makes_them(tmp_path):
    arguments = local_arguments(resolve_study("demo", {}), tmp_path)
    assert arguments["source"] == f"{tmp_path}/demo-data/hospital-a"
    assert arguments["external"] == [f"{tmp_path}/demo-data/hospital-b"]
    assert (tmp_path / "demo-data/hospital-a/meta.csv").is_file()


@pytest.fixture
def bucket_source(bucket, tmp_path):
    (tmp_path / "a.png").write_bytes(b"an image")
    open_store(bucket).put(tmp_path / "a.png", "study/a.png")
    return f"{bucket}/study"


def test_the_shell_s_words_are_the_parameters(kfp_server, bucket_source):
    words = ["--gan.kimg", "5", "--split.arms", "none", "bi100", "--tile.small", "a=pad", "*=skip", "--mpp", "a=0.5"]
    words += ["--gan.balanced", "--generation.no-near-copy-gate", "--shared.device", "cpu", "--seed", "4"]
    words += ["--external", bucket_source, bucket_source, "--gpu-count", "2", "--report.title", "A study"]
    app(["submit", "--source", bucket_source, "--no-check-images", *words], result_action="return_value")
    (run,) = kfp_server.runs.values()
    assert run.runtime_config.parameters == {
        "source": bucket_source,
        "external": [bucket_source, bucket_source],
        "mpp": {"a": "0.5"},
        "seed": 4,
        "tile": {"small": {"a": "pad", "*": "skip"}},
        "split": {"arms": ["none", "bi100"]},
        "gan": {"kimg": 5.0, "balanced": True},
        "generation": {"near_copy_gate": False},
        "report": {"title": "A study"},
        "shared": {"device": "cpu"},
        "gpu_count": "2",
    }


def test_a_profile_file_is_expanded_for_the_cluster_and_a_shipped_one_is_named(kfp_server, bucket_source, profile):
    file = profile(f"source: {bucket_source}\ngan: {{kimg: 5}}\n")
    for name in (file, "demo"):
        words = ["--source", bucket_source, "--no-check-images", "--gan.batch", "8"]
        app(["submit", "--profile", name, *words], result_action="return_value")
    expanded, named = (run.runtime_config.parameters for run in kfp_server.runs.values())
    assert expanded == {"source": bucket_source, "gan": {"kimg": 5.0, "batch": 8}}
    assert named["profile"] == "demo"
    assert named["gan"] == {"batch": 8}
    assert Cluster().is_uploaded()
