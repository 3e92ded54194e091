"""What kfp writes twice is written once, and the IR says the same; a quick stack changes no text."""

import contextlib
import copy
import json

import pytest
import yaml
from kfp import components, dsl

from pipelines.study import exit_handler, tracing
from pipelines.study.compile import compile_yaml, read_ir, study_yaml
from pipelines.study.merging import merge_duplicates


@pytest.fixture(scope="module", params=["study_on_cluster", "published_on_cluster"])
def ir(request):
    """A pipeline as kfp compiles it, and the same merged."""
    before = read_ir(compile_yaml(getattr(exit_handler, request.param)()))
    after = copy.deepcopy(before)
    merge_duplicates(*after)
    return before, after


@dsl.component(base_image="python")
def print_text(text: str):
    print(text)


def expanded(spec, platform):
    """The root with every reference replaced by what it names, executors with their settings."""
    executors = spec["deploymentSpec"]["executors"]
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]

    def expand(component):
        component = copy.deepcopy(component)
        if label := component.pop("executorLabel", ""):
            return component | {"executor": executors[label], "settings": settings.get(label)}
        for task in component["dag"]["tasks"].values():
            task["componentRef"] = expand(spec["components"][task["componentRef"]["name"]])
        return component

    return expand(spec["root"])


def test_the_merged_ir_says_the_same(ir):
    before, after = ir
    assert expanded(*after) == expanded(*before)
    assert {key: after[0][key] for key in ("pipelineInfo", "schemaVersion", "sdkVersion")} == {
        key: before[0][key] for key in ("pipelineInfo", "schemaVersion", "sdkVersion")
    }


def test_nothing_is_left_twice_and_nothing_unused(ir):
    before, (spec, platform) = ir
    assert len(spec["components"]) < len(before[0]["components"])
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    executors = spec["deploymentSpec"]["executors"]
    for items in (spec["components"], {name: [one, settings[name]] for name, one in executors.items()}):
        texts = [json.dumps(one, sort_keys=True) for one in items.values()]
        assert len(set(texts)) == len(texts)
    dags = [one["dag"] for one in (spec["root"], *spec["components"].values()) if "dag" in one]
    used = {task["componentRef"]["name"] for dag in dags for task in dag["tasks"].values()}
    assert used == set(spec["components"])
    labels = {one["executorLabel"] for one in spec["components"].values() if "executorLabel" in one}
    assert labels == set(executors) == set(settings)


def test_kfp_loads_what_is_merged(ir):
    _, after = ir
    text = "---\n".join(yaml.dump(part) for part in after)
    assert components.load_component_from_text(text).pipeline_spec.components


def test_tracing_with_a_quick_stack_gives_the_same_text(monkeypatch):
    """Where kfp asks for no stack any more, the quick one is needless, and the last line fails."""
    calls = []
    stock = tracing._callers
    monkeypatch.setattr(tracing, "_callers", lambda: calls.append(1) or stock())
    define = exit_handler.study_on_cluster.__wrapped__
    quick = compile_yaml(define())
    assert calls
    monkeypatch.setattr(tracing, "quick_stack", contextlib.nullcontext)
    assert compile_yaml(define()) == quick


def test_kfp_names_the_caller_of_a_setting_that_fails():
    def build(inputs):
        nested(a="x").set_cpu_limit("1")

    nested = tracing.define_pipeline("nested", lambda inputs: print_text(text=inputs["a"]) and None, {"a": str})
    with pytest.raises(ValueError, match="set_cpu_limit can only be used on single-step components"):
        tracing.define_pipeline("outer", build, {"a": str})


def test_the_uploaded_text_is_the_merged_one():
    spec, _ = read_ir(study_yaml())
    assert not [name for name in spec["components"] if name.startswith(("comp-fold-", "comp-pack-"))]
