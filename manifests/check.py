"""Renders overlays and validates every object strictly, without a cluster: python manifests/check.py [FOLDER…]

Built-in kinds are held to the API server's own schemas. Custom ones are parsed by typed models and written again, and
what does not come back is unknown: a misspelling, which the API server would drop without a word. A kind that nothing
here knows is refused. Needs kubectl, and the packages of thygan[dev].
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator

VERSIONS = ("1.30", "1.36")
HERE = Path(__file__).parent
OVERLAYS = tuple(sorted(one for one in (HERE / "overlays").iterdir() if one.is_dir()))
_MODELS = {  # module, and what its classes' names begin with
    "monitoring.coreos.com/v1": ("cloudcoil.models.prometheus_operator.v1", ""),
    "trainer.kubeflow.org/v1alpha1": ("kubeflow_trainer_api.models", "TrainerV1alpha1"),
}
_CLOSED = {"kueue.x-k8s.io/v1beta1": HERE / "schemas/kueue.yaml"}

Manifest = dict[str, Any]


def render(folder: Path) -> list[Manifest]:
    """What `kubectl apply -k` would send; raises ValueError with kustomize's own words."""
    if not shutil.which("kubectl"):
        raise FileNotFoundError(
            "kubectl is not here: install it, or apply with `kubectl apply -k`, which checks as well."
        )
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise ValueError(done.stderr.strip())
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def problems(one: Manifest) -> Iterator[str]:
    """What an API server would refuse, or drop, of one object."""
    api, kind = str(one.get("apiVersion")), str(one.get("kind"))
    if api in _MODELS:
        module, prefix = _MODELS[api]
        model = getattr(import_module(module), prefix + kind, None)
        yield from _unlike_model(one, model) if model else [f"{api} knows no {kind}"]
    elif api in _CLOSED:
        schemas = yaml.safe_load(_CLOSED[api].read_text(encoding="utf-8"))
        if kind not in schemas["kinds"]:
            yield f"no schema for {api} {kind}: add it to {_CLOSED[api].name}"
            return
        schema = {**schemas["kinds"][kind], "$defs": schemas["$defs"]}
        for error in Draft202012Validator(schema).iter_errors(one):
            yield f"{error.json_path}: {error.message}"
    else:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{'.'.join(map(str, error.path))}: {error.message} (Kubernetes {version})"[:400]
            except kubernetes_validate.SchemaNotFoundError:
                yield f"Kubernetes {version} knows no {api} {kind}"


def name_of(one: Manifest) -> str:
    """Kind/name, for a person."""
    return f"{one.get('kind')}/{one.get('metadata', {}).get('name')}"


def _unlike_model(one: Manifest, model: Any) -> Iterator[str]:
    is_generated = hasattr(model, "from_dict")  # by OpenAPI Generator, whose quantities only its own reader takes
    try:
        parsed = model.from_dict(one) if is_generated else model.model_validate(one)
    except ValueError as error:
        found = getattr(error, "errors", list)() or [{"loc": [model.__name__], "msg": str(error)}]
        for each in found:
            yield f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
        return
    again = parsed.to_dict() if is_generated else parsed.model_dump(by_alias=True, exclude_unset=True, mode="json")
    for path in _lost(one, again, ""):
        yield f"unknown field {path.lstrip('.')}"


def _lost(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                yield f"{path}.{key}"
            else:
                yield from _lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        for number, (value, other) in enumerate(zip(before, after, strict=False)):
            yield from _lost(value, other, f"{path}[{number}]")


def main(folders: list[str]) -> int:
    """Says what is wrong; the exit status."""
    wrong = 0
    for folder in [Path(one) for one in folders] or OVERLAYS:
        objects = render(folder)
        found = [f"{folder.name}: {name_of(one)}: {problem}" for one in objects for problem in problems(one)]
        wrong += len(found)
        print(
            "\n".join(found) or f"{folder.name}: {len(objects)} objects, all valid for Kubernetes {', '.join(VERSIONS)}"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
