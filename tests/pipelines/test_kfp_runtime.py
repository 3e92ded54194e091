"""What a component does when it runs: its options resolved, its result found again, its numbers and metadata shown."""

import json
from pathlib import Path

import pytest
from kfp import dsl
from kfp.dsl import executor

from components.artifacts import DataCard, Manifest, Record, TileSet
from components.core.data.archive_reference import ARCHIVES_VARIABLE
from components.core.errors import ConfigError
from components.core.protocol.lineage import KEY_VARIABLE
from components.groups import GROUPS
from components.kfp_component import TAG_VARIABLE
from components.kfp_runtime import STORE_VARIABLE, draw_roc, stage_call
from components.tile.component import tile
from pipelines.demo import write_study
from pipelines.local.runner import StageError, run_locally

pytest_plugins = ["tests.core.real_s3"]
METADATA_BYTES = 200  # a workflow holds each artifact's metadata once for every task that reads it


def split_values(**stated):
    values = {"seed": 0, "external_sites": [], "profile": "none", "shared": {}, "options": {}}
    return values | stated


def tile_values(**stated):
    groups = {name: {} for name in GROUPS if name not in ("tile", "shared")}
    values = {"sources": ["x"], "labels": [""], "mpp": {}, "seed": 0, "blind": False}
    return values | {"profile": "none", "shared": {}, "options": {}} | groups | stated


def test_options_are_the_profile_s_with_the_stated_ones_over_them():
    call = stage_call("split", split_values(profile="demo", options={"folds": 3.0}))
    assert call.direct == {"seed": 0, "external_sites": []}
    assert (call.options.folds, call.options.demonstration, call.options.classifier_seeds) == (3, True, 1)
    assert set(call.arguments()) == {"seed", "external_sites", "options", "shared"}


def test_a_stage_gets_only_the_shared_options_that_it_reads():
    call = stage_call("split", split_values(shared={"tile_level": ["b"], "extractor_px": 64, "device": "cpu"}))
    assert (call.shared.tile_level, call.shared.extractor_px, call.shared.device) == (("b",), 224, "auto")
    assert call.result_values()["shared"] == {"tile_level": ["b"]}


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({"gan": {"kimgs": 5}}, r"gan has no option 'kimgs'; did you mean 'kimg'\?"),
        ({"options": {"tile_px": 1}}, r"tile\.tile_px is 1"),
        ({"report": {"title": 3}}, r"report\.title is 3"),
        ({"shared": {"devices": "cpu"}}, r"shared has no option 'devices'"),
        ({"split": {"arms": ["bi100"]}}, r"The arm `none` is the baseline"),
        ({"profile": "demos"}, r"There is no profile 'demos'; did you mean 'demo'\?"),
    ],
)
def test_the_first_task_refuses_every_wrong_option(stated, sentence):
    with pytest.raises(ConfigError, match=sentence):
        stage_call("tile", tile_values(**stated))


def test_other_groups_neither_reach_the_first_task_s_stage_nor_its_key():
    plain, other = stage_call("tile", tile_values()), stage_call("tile", tile_values(gan={"kimg": 1.0}))
    assert plain == other
    assert not set(other.arguments()) & set(GROUPS) - {"shared"}


def test_scales_are_the_argument_s_or_else_the_profile_s():
    assert stage_call("tile", tile_values(profile="demo")).direct["mpp"] == {"hospital-a": "0.5", "hospital-b": "0.5"}
    assert stage_call("tile", tile_values(profile="demo", mpp={"a": 0.62})).direct["mpp"] == {"a": "0.62"}


def test_what_changes_no_result_is_not_in_the_key():
    plain = stage_call("gan_train", {"seed": 0, "profile": "none", "shared": {}, "options": {}})
    moved = stage_call(
        "gan_train", {"seed": 0, "profile": "none", "shared": {"checkpoint_uri": "s3://b/c"}, "options": {}}
    )
    longer = stage_call("gan_train", {"seed": 0, "profile": "none", "shared": {}, "options": {"kimg": 1.0}})
    assert plain != moved
    assert plain.result_values() == moved.result_values() != longer.result_values()


def test_a_profile_and_the_same_options_stated_have_one_key():
    named = stage_call("split", split_values(profile="demo"))
    stated = {"folds": 2.0, "arms": ["none", "stain-aug", "bi100", "bi100-real"], "classifier_seeds": 1.0}
    assert stage_call("split", split_values(options={"demonstration": True, **stated})) == named


def test_files_that_may_change_unseen_are_read_again_unless_their_version_is_stated():
    assert stage_call("tile", tile_values()).reads_outside()
    assert not stage_call("tile", tile_values(options={"data_version": "1"})).reads_outside()
    assert not stage_call("split", split_values()).reads_outside()
    assert stage_call("split", split_values(options={"import_splits": "/splits"})).reads_outside()


@dsl.component(base_image="python", install_kfp_package=False)
def write_options(text: dsl.Output[dsl.Artifact], profile: str = "none", shared: dict = {}, options: dict = {}):  # noqa: B006
    import json
    from pathlib import Path

    from components.core.options.parse import to_values
    from components.groups import resolve_group

    parsed = [to_values(one) for one in resolve_group("gan", profile, options, shared)]
    Path(text.path).write_text(json.dumps(parsed))


def test_numbers_survive_kfp_local(tmp_path):
    """KFP carries every number of a mapping as a double."""

    @dsl.pipeline
    def one_task(profile: str = "none", shared: dict = {}, options: dict = {}) -> dsl.Artifact:  # noqa: B006
        return write_options(profile=profile, shared=shared, options=options).outputs["text"]

    stated = {"batch": 16, "kimg": 3, "augment": "noaug"}
    run = run_locally(one_task, {"options": stated, "shared": {"extractor_px": 64}}, tmp_path / "good")
    gan, shared = json.loads(Path(run.output.path).read_text())
    assert {name: gan[name] for name in stated} == {"batch": 16, "kimg": 3.0, "augment": "noaug"}
    assert type(gan["batch"]) is int
    assert shared["extractor_px"] == 64
    with pytest.raises(StageError, match=r"gan\.batch is 16\.5: give a whole number"):
        run_locally(one_task, {"options": {"batch": 16.5}}, tmp_path / "bad")


def test_a_driver_s_json_reaches_the_stage(tmp_path):
    """What a launcher hands to the executor: doubles in mappings, and artifacts by address."""
    (tmp_path / "tiles").write_text("x")
    inputs = {
        "inputs": {"parameterValues": {"profile": "demo", "options": {"batch": 8.0}, "shared": {}}},
        "outputs": {
            "artifacts": {
                "text": {
                    "artifacts": [
                        {"name": "text", "uri": str(tmp_path / "text"), "type": {"schemaTitle": "system.Artifact"}}
                    ]
                }
            },
            "outputFile": str(tmp_path / "executor_output.json"),
        },
    }
    executor.Executor(inputs, write_options.python_func).execute()
    gan, _ = json.loads((tmp_path / "text").read_text())
    assert (gan["batch"], gan["kimg"], gan["augment"]) == (8, 3.0, "noaug")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_study(folder / "study", seed=3, patients=4, images_per_patient=1, size_px=96, external_patients=4)
    return folder / "study" / "hospital-a"


def artifacts_in(folder, kinds, on_cluster):
    """Outputs at paths of this test, on a cluster under a launcher's addresses."""
    task = (
        "minio://mlpipeline/v2/artifacts/thygan-study/3f0c2a7e-5d1b-4c1e-9a37-0d4f5f3d9a11/tile/8d0c66e1-7f5b-4b62-9a3c"
    )
    artifacts = {}
    for name, kind in kinds.items():
        artifacts[name] = kind(name=name, uri=f"{task}/{name}" if on_cluster else str(folder / name))
        artifacts[name].custom_path = str(folder / name)
    return artifacts


def run_tile(images, folder, on_cluster=False, **stated):
    folder.mkdir()
    kinds = {"tiles": TileSet, "manifest": Manifest, "tile_page": dsl.HTML, "data_card": dsl.HTML}
    kinds |= {"card_values": DataCard, "tile_record": Record, "tile_metrics": dsl.Metrics}
    outputs = artifacts_in(folder, kinds, on_cluster)
    values = tile_values(sources=[str(images)], sites=[""], target_mpp=0.0, profile="demo", **stated)
    returned = tile.python_func(**outputs, reference=None, plan=None, **values)
    return outputs, returned


@pytest.fixture
def environment(bucket, tmp_path, monkeypatch):
    """The environment of a pod."""
    monkeypatch.setenv(KEY_VARIABLE, "a study key for tests only")
    monkeypatch.setenv(STORE_VARIABLE, f"{bucket}/store")
    monkeypatch.setenv(ARCHIVES_VARIABLE, f"{bucket}/archives")
    monkeypatch.setenv(TAG_VARIABLE, "src-0123456789ab")


def test_metadata_is_short_and_numbers_are_shown(environment, images, tmp_path):
    outputs, (mpp,) = run_tile(images, tmp_path / "first", on_cluster=True, options={"data_version": "1"})
    assert mpp == 0.5
    for name, artifact in outputs.items():
        if name != "tile_metrics":
            assert len(json.dumps(artifact.metadata, separators=(",", ":"))) <= METADATA_BYTES, name
    assert set(outputs["tiles"].metadata) == {"content", "archive_uri"}
    assert set(outputs["tile_record"].metadata) == {"content"}
    record = json.loads(Path(outputs["tile_record"].path).read_text())
    shown = outputs["tile_metrics"].metadata
    assert shown["tiles"] == record["tiles"] > 0
    assert all(type(one) is float for one in shown.values())
    assert json.loads(Path(outputs["tile_metrics"].path).read_text())["stage"] == "tile"


def test_a_result_is_found_again_by_content_and_options(environment, images, tmp_path, capsys):
    run_tile(images, tmp_path / "first", options={"data_version": "1"})
    capsys.readouterr()
    again, (mpp,) = run_tile(images, tmp_path / "again", options={"data_version": "1"}, gan={"kimg": 1.0})
    assert mpp == 0.5
    assert "made it from the same content, options and code" in capsys.readouterr().out
    assert again["tile_metrics"].metadata["tiles"] > 0
    for stated in ({"options": {"data_version": "2"}}, {"options": {"data_version": "1", "tile_px": 48}}, {}):
        run_tile(images, tmp_path / f"other-{len(json.dumps(stated))}", **stated)
        assert "made it from the same" not in capsys.readouterr().out


def test_nothing_is_read_where_another_stage_s_option_is_wrong(environment, tmp_path):
    with pytest.raises(ConfigError, match=r"classifier\.epochs is 0"):
        run_tile(tmp_path / "no-images", tmp_path / "first", classifier={"epochs": 0.0})


def test_a_roc_curve_is_drawn_from_the_stage_s_file(tmp_path):
    curve = {"fpr": [0.0, 1.0], "tpr": [0.0, 1.0], "threshold": [1.0, 0.0], "classes": ["a", "b"]}
    (tmp_path / "roc").write_text(json.dumps(curve | {"confusion": [[3, 1], [0, 4]]}))
    roc = dsl.ClassificationMetrics(name="roc", uri=str(tmp_path / "roc"))
    draw_roc(roc)
    assert [one["recall"] for one in roc.metadata["confidenceMetrics"]] == [0.0, 1.0]
    assert [one["row"] for one in roc.metadata["confusionMatrix"]["rows"]] == [[3, 1], [0, 4]]
