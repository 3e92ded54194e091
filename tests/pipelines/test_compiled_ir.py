"""The IR that is uploaded: what a cluster would refuse, silently drop or silently misread is found here."""

import json
import math
import os
import re
import subprocess
import sys
from typing import Literal

import pytest
import yaml
from kfp import dsl

from components.core.options.profiles import profile_names
from components.kfp_component import DEFAULT_REGISTRY
from pipelines.study.compile import executor_tasks, published_yaml, read_ir, study_ir, study_yaml
from pipelines.study.resources import KEPT_AFTER_S, LONGEST_RUN_S, RESOURCES, SHARED_MEMORY

LARGEST_ARGUMENT_BYTES = 64 * 1024  # Linux takes 128 KiB, and executor inputs come on top
LARGEST_PARAMETERS_BYTES = 10_000  # what KFP's server takes for a whole run
CHANNEL = "pipelinechannel--"  # before the name of what a group of tasks takes from around it
EVERY_ARM = ["none", "bi100", "mc"]


@pytest.fixture(scope="module")
def ir():
    return study_ir()


@pytest.fixture(scope="module")
def executors(ir):
    pipeline, kubernetes = ir
    settings = kubernetes["deploymentSpec"]["executors"]
    return {
        name: (stage_of(name), one["container"], settings[name])
        for name, one in pipeline["deploymentSpec"]["executors"].items()
    }


def stage_of(executor):
    return re.sub(r"(-\d+)?$", "", executor.removeprefix("exec-")).replace("-", "_")


def dags(pipeline):
    return [one["dag"] for one in (pipeline["root"], *pipeline["components"].values()) if "dag" in one]


def test_every_stage_is_there(executors):
    assert {stage for stage, _, _ in executors.values()} == set(RESOURCES)


def test_images_are_immutable_and_from_the_registry(executors):
    for name, (_, container, _) in executors.items():
        assert re.fullmatch(re.escape(DEFAULT_REGISTRY) + r"/python-[a-z-]+:src-[0-9a-f]{12}", container["image"]), name


def test_registry_and_tag_come_from_the_environment():
    environment = {**os.environ, "THYGAN_REGISTRY": "registry.example/lab", "THYGAN_TAG": "v7"}
    code = "from pipelines.study.compile import study_yaml; print(study_yaml())"
    text = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=True)
    images = set(re.findall(r"image: (\S+)", text.stdout))
    assert all(re.fullmatch(r"registry\.example/lab/python-[a-z-]+:v7", one) for one in images), images


def test_nothing_is_installed_at_run_time(executors):
    for name, (_, container, _) in executors.items():
        assert not re.search(r"\bpip\b|ensurepip", " ".join(container["command"])), name


def test_no_argument_is_too_long_for_linux(executors):
    for name, (_, container, _) in executors.items():
        assert max(len(one.encode()) for one in [*container["command"], *container["args"]]) < LARGEST_ARGUMENT_BYTES, (
            name
        )


def test_gpu_stages_ask_for_gpus_bear_taints_and_share_memory(executors):
    for name, (stage, container, settings) in executors.items():
        needs = RESOURCES[stage]
        resources = container["resources"]
        assert resources["resourceMemoryLimit"] == f"{needs.memory}Gi", name
        assert ("accelerator" in resources) == bool(needs.gpus), name
        assert settings["podMetadata"]["labels"]["app.kubernetes.io/part-of"] == "thygan"
        assert int(settings["activeDeadlineSeconds"]) > 0
        if not needs.gpus:
            continue
        assert resources["accelerator"]["resourceCount"].endswith(f"pipelinechannel--{needs.gpus}']}}}}")
        own, *named = settings["tolerations"]
        assert own == {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}, name
        borne = [one["tolerationJson"]["componentInputParameter"].removeprefix(CHANNEL) for one in named]
        assert borne == ["gpu_tolerations", "spot_tolerations"], name
        selector = settings["nodeSelector"]["nodeSelectorJson"]["componentInputParameter"]
        assert selector.removeprefix(CHANNEL) == "gpu_node_selector"
        shared = [one for one in settings["emptyDirMounts"] if one["volumeName"] == "dshm"]
        assert [(one["mountPath"], one["medium"], one["sizeLimit"]) for one in shared] == [
            (SHARED_MEMORY, "Memory", f"{needs.shm}Gi")
        ], name
        assert needs.shm < needs.memory, "shared memory counts in the pod's limit"


def test_only_tile_holds_the_study_key(executors):
    for name, (stage, _, settings) in executors.items():
        secrets = {one["secretName"] for one in settings["secretAsEnv"]}
        assert ("thygan-study-key" in secrets) == (stage == "tile"), name
        assert secrets - {"thygan-study-key"} == {f"thygan-s3-{stage.replace('_', '-')}"}, name


def test_no_secret_keeps_a_stage_from_saying_what_it_lacks(executors):
    """A Secret that has to be there leaves the pod waiting for ever, in CreateContainerConfigError."""
    for name, (_, _, settings) in executors.items():
        assert all(one["optional"] for one in [*settings["secretAsEnv"], *settings["configMapAsEnv"]]), name


def test_a_finished_workflow_stays_however_it_ended(ir):
    """KFP's own defaults of success and failure, an hour, stand before the TTL of completion."""
    config = ir[1]["pipelineConfig"]
    names = ("resourceTtlOnCompletion", "resourceTtlOnSuccess", "resourceTtlOnFailure")
    assert [config[name] for name in names] == [KEPT_AFTER_S] * 3


def test_a_stage_that_dies_late_is_tried_again(ir):
    """Argo counts a back-off's longest duration from the first attempt's start."""
    pipeline, kubernetes = ir
    longest_s = {
        name: int(one["activeDeadlineSeconds"]) for name, one in kubernetes["deploymentSpec"]["executors"].items()
    }
    for dag in dags(pipeline):
        for task in dag["tasks"].values():
            executor = pipeline["components"][task["componentRef"]["name"]].get("executorLabel")
            if executor and (policy := task.get("retryPolicy")):
                limit_s = int(policy["backoffMaxDuration"].removesuffix("s"))
                assert limit_s == LONGEST_RUN_S == kubernetes["pipelineConfig"]["activeDeadlineSeconds"], executor
                assert limit_s > longest_s[executor], executor


def test_no_nested_pipeline_takes_a_list_of_artifacts():
    """On a cluster such a list arrives with its first item."""
    for text in (study_yaml(), published_yaml()):
        pipeline = next(yaml.load_all(text, Loader=yaml.CSafeLoader))
        for name, component in pipeline["components"].items():
            inputs = component.get("inputDefinitions", {}).get("artifacts", {}).values()
            assert "dag" not in component or not any(one.get("isArtifactList") for one in inputs), name


def test_no_resource_parameter_is_a_number(ir):
    """The driver reads a number as an empty text, and the pod starts without a GPU."""
    pipeline, _ = ir
    asked = re.findall(r"inputs\.parameters\['pipelinechannel--(\w+)'\]", json.dumps(pipeline["deploymentSpec"]))
    assert set(asked) == {"gpu_type", "gpu_count", "train_gpu_count"}
    for component in (pipeline["root"], *pipeline["components"].values()):
        for name, one in component.get("inputDefinitions", {}).get("parameters", {}).items():
            if name.removeprefix("pipelinechannel--") in asked:
                assert one["parameterType"] == "STRING", name


def test_what_a_pod_setting_names_reaches_its_pipeline(ir):
    """A setting names an input of the pipeline that holds the task; a name that is none is dropped without a word."""
    pipeline, kubernetes = ir
    for component in (pipeline["root"], *pipeline["components"].values()):
        inputs = component.get("inputDefinitions", {}).get("parameters", {})
        for task in component.get("dag", {}).get("tasks", {}).values():
            label = pipeline["components"][task["componentRef"]["name"]].get("executorLabel")
            settings = json.dumps(kubernetes["deploymentSpec"]["executors"].get(label, {}))
            for named in re.findall(r'"componentInputParameter": "([\w-]+)"', settings):
                assert named in inputs, (label, named)


def test_a_train_jobs_nodes_get_the_stages_own_image(executors):
    from components.gan_train.train_job import IMAGE_VARIABLE

    for stage, container, _ in executors.values():
        given = {one["name"]: one["value"] for one in container.get("env", [])}
        assert given.get(IMAGE_VARIABLE) == (container["image"] if stage == "gan_train" else None)
        assert given.get("THYGAN_TAG") or stage == "outcome"


def test_tiles_are_never_taken_from_kfps_cache(ir):
    pipeline, _ = ir
    for dag in dags(pipeline):
        for name, task in dag["tasks"].items():
            if "executorLabel" in pipeline["components"][task["componentRef"]["name"]]:
                cached = task.get("cachingOptions", {}).get("enableCache", False)
                assert cached != name.startswith(("tile", "outcome")), name


def test_metadata_and_defaults_are_flat_and_finite(ir):
    pipeline, _ = ir
    for dag in dags(pipeline):
        for outputs in dag.get("outputs", {}).get("artifacts", {}).values():
            assert "metadata" not in outputs
    defaults = {
        name: one.get("defaultValue") for name, one in pipeline["root"]["inputDefinitions"]["parameters"].items()
    }
    assert all(math.isfinite(one) for one in defaults.values() if isinstance(one, float))
    assert len(json.dumps(defaults)) < LARGEST_PARAMETERS_BYTES


def test_the_end_of_a_run_is_told_whatever_happens(ir):
    pipeline, kubernetes = ir
    tasks = pipeline["root"]["dag"]["tasks"]
    end = tasks["outcome"]
    assert end["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert end["dependentTasks"] == ["exit-handler-1"]
    assert kubernetes["pipelineConfig"]["activeDeadlineSeconds"] > max(one.hours for one in RESOURCES.values()) * 3600


def test_the_whole_ir_fits_into_a_workflow(ir):
    """Argo keeps a workflow in etcd, which takes 1.5 MiB; KFP's own templates take the like again."""
    assert sum(len(json.dumps(part)) for part in ir) < 128 * 1024


@pytest.mark.parametrize("text", [study_yaml, published_yaml])
def test_the_ir_is_short_and_at_most_four_levels_deep(text):
    """Every nested DAG costs a driver pod, ten seconds, and its whole spec in the workflow object once more."""
    assert len(text().splitlines()) <= 3000
    spec, _ = read_ir(text())

    def levels(component):
        if "dag" not in component:
            return 0
        tasks = component["dag"]["tasks"].values()
        return 1 + max(levels(spec["components"][task["componentRef"]["name"]]) for task in tasks)

    assert levels(spec["root"]) == 4


@pytest.mark.parametrize("text", [study_yaml, published_yaml])
def test_loops_and_nested_pipelines_have_names(text):
    spec, _ = read_ir(text())
    nested = {
        task["taskInfo"]["name"]
        for dag in dags(spec)
        for task in dag["tasks"].values()
        if "dag" in spec["components"][task["componentRef"]["name"]]
    }
    expected = {"study", "cross-validation", "all-patients", "fold"}
    assert nested == (expected if text is study_yaml else expected | {"leaked-fold"})


def test_nothing_but_the_study_s_own_parameters_is_explained(ir):
    pipeline, _ = ir
    for name, component in pipeline["components"].items():
        assert '"description"' not in json.dumps(component), name


def test_the_form_offers_the_profiles_to_choose_from(ir):
    parameters = ir[0]["root"]["inputDefinitions"]["parameters"]
    assert parameters["profile"]["literals"] == ["none", *profile_names()]
    assert parameters["profile"]["defaultValue"] in parameters["profile"]["literals"]
    assert [name for name, one in parameters.items() if "literals" in one] == ["profile"]


def test_the_sdk_still_cannot_say_literals():
    """As soon as it can, `_add_literals` in pipelines/study/compile.py is needless."""
    with pytest.raises(Exception, match="Literal"):

        @dsl.component(base_image="python")
        def choose(name: Literal["a", "b"] = "a"):
            pass


def test_only_the_source_has_to_be_stated(ir):
    """KFP's form starts no run while a parameter without a default is empty."""
    parameters = ir[0]["root"]["inputDefinitions"]["parameters"]
    assert [name for name, one in parameters.items() if not one.get("isOptional")] == ["source"]


def test_a_study_with_every_generator_stays_below_eighty_tasks():
    default = executor_tasks(["none", "stain-aug", "bi100", "bi100-real"], 5)
    assert default["gan_train"] == 6
    assert sum(default.values()) == 37
    both = executor_tasks(EVERY_ARM, 5)
    assert both["gan_train"] == 12
    assert sum(both.values()) == 67 < 80


def test_another_process_compiles_the_same_text():
    """KFP writes a mapping's keys in an order of the process, so no default has two."""
    code = "from pipelines.study.compile import study_yaml; print(study_yaml(), end='')"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            text=True,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {study_yaml()}


def test_yaml_is_what_kfp_loads(ir):
    from kfp import components

    assert components.load_component_from_text(study_yaml()).name == "thygan-study"
    assert yaml.safe_load_all(study_yaml())
