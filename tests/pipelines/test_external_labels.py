"""Where external labels go, read from the compiled pipeline."""

import yaml

from pipelines.study.compile import study_yaml


def readers(spec, dag, producer, key):
    """Components that an artifact reaches, through nested pipelines: a task's output, or (producer '') an input."""
    found = set()
    for task in dag["tasks"].values():
        component = spec["components"][task["componentRef"]["name"]]
        for name, given in task.get("inputs", {}).get("artifacts", {}).items():
            output, own = given.get("taskOutputArtifact", {}), given.get("componentInputArtifact")
            if (output.get("producerTask"), output.get("outputArtifactKey")) == (producer, key) or (
                not producer and own == key
            ):
                inside = readers(spec, component["dag"], "", name) if "dag" in component else set()
                found |= inside or {task["componentRef"]["name"].removeprefix("comp-")}
    return found


def test_external_labels_reach_only_who_comes_after_the_training():
    spec = next(yaml.safe_load_all(study_yaml()))
    dags = [one["dag"] for one in (spec["root"], *spec["components"].values()) if "dag" in one]
    ((dag, external),) = (
        (dag, name)
        for dag in dags
        for name, task in dag["tasks"].items()
        if "blind" in task.get("inputs", {}).get("parameters", {})
    )
    assert readers(spec, dag, external, "manifest") == {"external-eval", "umap", "report"}
    assert "classifier-cv" in readers(spec, dag, "tile", "tiles")  # the search finds nested stages
