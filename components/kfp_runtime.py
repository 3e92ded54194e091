"""What a component's function does when it runs: its stage's `run`, unless a kept result makes it needless.

The environment says where results are kept:

    THYGAN_STORE      s3://bucket/prefix, minio://bucket/prefix or a folder; none = nothing is kept or looked up
    THYGAN_ARCHIVES   s3://bucket/prefix for image archives, which are then passed on by reference; none = as they are
    THYGAN_OBJECTS    folder for objects by sha256, on a machine of one's own
    THYGAN_PIPELINE, THYGAN_RUN_ID    name the place where artifacts lie on a local disk; on a cluster they name it
"""

import importlib
import json
import math
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp import dsl
from kfp.dsl.types.type_annotations import is_artifact_wrapped_in_Output, is_Input_Output_artifact_annotation

from components.core.cache.publish import publish_or_fetch
from components.core.cache.result_cache import (
    ARCHIVE,
    ARCHIVE_BYTES,
    CachedArtifact,
    CachedResult,
    ResultCache,
    describe_artifact,
)
from components.core.data.archive_reference import read_reference
from components.core.data.content_hash import content_hash
from components.core.errors import DataError, StoreError
from components.core.io.atomic_files import digest
from components.core.protocol.lineage import KEY_FILE_VARIABLE, KEY_VARIABLE, key_id, study_key
from components.core.runtime import logs
from components.core.runtime.progress import log
from components.core.store import is_bucket
from components.kfp_component import code_tag

STORE_VARIABLE, OBJECTS_VARIABLE = "THYGAN_STORE", "THYGAN_OBJECTS"
CONTENT, KEPT = "content", "kept"
_SCALARS = (str, int, float, bool)
_SHOWN = (dsl.Metrics, dsl.ClassificationMetrics, dsl.HTML, dsl.Markdown)
_OUTSIDE = ("sources", "labels", "import_splits", "resume_from")  # read from places that change unseen
_WITHOUT_EFFECT = ("checkpoint_uri", "checkpoint_minutes", "train_job", "cache_uri", "weights_dir")


def run_stage(component: Any, given: Mapping[str, Any], module: str = "stage") -> Any:
    """Runs a stage, or brings what it once made from the same content, options and code.

    Args:
        component: The component's function.
        given: Its arguments.
        module: The stage's module that has `run`; it is imported only where there is something to do.

    Returns:
        What `run` returned, as JSON has it.
    """
    function = getattr(component, "python_func", component)
    kinds = {name: kind for name, kind in function.__annotations__.items() if is_Input_Output_artifact_annotation(kind)}
    made = {name: given[name] for name, kind in kinds.items() if is_artifact_wrapped_in_Output(kind)}
    read = {name: given[name] or "" for name in kinds if name not in made}
    options = {name: value for name, value in given.items() if name not in kinds}
    paths = {name: _path(value) for name, value in (read | made).items()}
    keeper = _keeper()
    task = _Task(keeper, function.__name__, made, read, options) if keeper else None
    found = task.found() if task else None
    if found:
        returned = found.returned
    else:
        home = f"{__package__}.{function.__name__}.{module}"
        returned = importlib.import_module(home).run(**paths, **options)
    if not Path(made["metrics"].path).exists():  # a dry run
        return returned
    _publish(made)
    for artifact in made.values():
        if reference := (read_reference if found else publish_or_fetch)(Path(artifact.path)):
            artifact.metadata.update({ARCHIVE: reference.archive, ARCHIVE_BYTES: reference.bytes})
    if task:
        task.keep(returned)
    return returned


class _Task:
    """One task with its artifacts and options, as a result to be found or kept."""

    def __init__(
        self,
        keeper: ResultCache,
        stage: str,
        made: dict[str, dsl.Artifact],
        read: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        self._keeper, self._stage, self._made, self._options = keeper, stage, made, options
        self._paths = {name: Path(artifact.path) for name, artifact in made.items()}
        self._tag = code_tag()
        self._read = {
            name: [_reading(one) for one in (value if isinstance(value, list) else [value])]
            for name, value in read.items()
            if value
        }

    def found(self) -> CachedResult | None:
        """The kept result, brought to this task's paths."""
        if any(self._options.get(name) for name in _OUTSIDE) and not self._options.get("data_version"):
            return None
        try:
            if (result := self._keeper.find(self._stage, self._key())) is None:
                return None
            self._keeper.fetch(result, self._paths)
            for path in self._paths.values():
                publish_or_fetch(path)
        except (DataError, StoreError) as error:
            log(f"{error} It is made again.")
            return None
        log(f"{self._stage}: taken from {result.run}, which made it from the same content, options and code")
        return result

    def keep(self, returned: Any) -> None:
        """Keeps what the task made, and says with each artifact what it holds and where it is kept."""
        first = next(iter(self._made.values()))
        on_cluster = is_bucket(first.uri)
        home = first.uri.rpartition("/")[0] if on_cluster else f"{self._keeper.uri}/{self._local_task()}"
        task = home.removeprefix(f"{self._keeper.uri}/") if not on_cluster else "/".join(home.split("/")[-4:])
        artifacts: dict[str, CachedArtifact] = {}
        for name, artifact in self._made.items():
            if self._paths[name].exists():
                uri = f"{home}/{artifact.uri.rpartition('/')[2]}"
                artifacts[name] = describe_artifact(self._paths[name], artifact.schema_title, uri, artifact.metadata)
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        run = "/".join(task.split("/")[:2])
        result = CachedResult(
            self._stage, run, task, self._key(), self._tag, made, self._options, self._read, artifacts, returned
        )
        result = self._keeper.keep(result, self._paths, upload=not on_cluster)
        for name, kept in result.artifacts.items():
            if not isinstance(self._made[name], _SHOWN):
                self._made[name].metadata.update({CONTENT: kept.content, KEPT: kept.uri})

    def _key(self) -> str:
        made_from = {name: [one["content"] for one in several] for name, several in self._read.items()}
        options = {name: value for name, value in self._options.items() if name not in _WITHOUT_EFFECT}
        identities = ""
        if "sources" in options and (os.environ.get(KEY_VARIABLE) or os.environ.get(KEY_FILE_VARIABLE)):
            identities = key_id(study_key())
        return digest([self._stage, self._tag, made_from, options, identities])

    def _local_task(self) -> str:
        of = logs.current_context()
        return f"{of['pipeline']}/{of['run'] or 'local'}/{self._stage.replace('_', '-')}/{uuid.uuid4().hex[:12]}"


def _keeper() -> ResultCache | None:
    uri, objects = os.environ.get(STORE_VARIABLE), os.environ.get(OBJECTS_VARIABLE)
    return ResultCache(uri, Path(objects) if objects else None) if uri else None


def _reading(artifact: dsl.Artifact) -> dict[str, str]:
    known = artifact.metadata
    return {
        "content": str(known.get(CONTENT) or content_hash(artifact.path)),
        "uri": str(known.get(KEPT) or artifact.uri),
    }


def _path(value: Any) -> Any:
    """Paths of artifacts; '' for one that is not given."""
    if isinstance(value, list):
        return [one.path for one in value]
    return value.path if value else ""


def _publish(made: Mapping[str, dsl.Artifact]) -> None:
    """Shows a stage's record in the UI: numbers as metrics, and all its scalars as metadata of what it made.

    Metadata is flat and finite; tables stay in the file.
    """
    metrics = made["metrics"]
    record = json.loads(Path(metrics.path).read_text(encoding="utf-8"))
    flat = {key: value for key, value in record.items() if isinstance(value, _SCALARS)}
    for key, value in flat.items():
        if isinstance(value, int | float) and math.isfinite(value):
            metrics.log_metric(key, float(value))
    for artifact in made.values():
        if not isinstance(artifact, _SHOWN):
            artifact.metadata.update({key: str(v) if isinstance(v, bool) else v for key, v in flat.items()})


def draw_roc(roc: dsl.ClassificationMetrics) -> None:
    """Shows the ROC curve and the confusion matrix that a stage wrote to `roc`'s file."""
    drawn = json.loads(Path(roc.path).read_text(encoding="utf-8"))
    if drawn.get("fpr"):
        roc.log_roc_curve(drawn["fpr"], drawn["tpr"], drawn["threshold"])
    if drawn.get("confusion"):
        roc.log_confusion_matrix(drawn["classes"], drawn["confusion"])
