"""What a component's function does when it runs: its stage's `run`, unless a cached result makes it needless.

The environment says where results are cached:

    THYGAN_STORE      s3://bucket/prefix, minio://bucket/prefix or a folder; none = nothing is cached or looked up
    THYGAN_ARCHIVES   s3://bucket/prefix for image archives, which are then passed on by reference; none = as they are
    THYGAN_OBJECTS    folder for objects by sha256, on a single machine
    THYGAN_PIPELINE, THYGAN_RUN_ID    name the folder of artifacts on a local disk; on a cluster KFP names it
"""

import importlib
import json
import math
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp import dsl
from kfp.dsl.types.type_annotations import is_artifact_wrapped_in_Output, is_Input_Output_artifact_annotation

from components.artifacts import Record
from components.core.cache.publish import publish_or_fetch
from components.core.cache.result_cache import (
    ARCHIVE,
    ARCHIVE_BYTES,
    CachedArtifact,
    CachedResult,
    ResultCache,
    describe_artifact,
)
from components.core.data.archive_reference import ArchiveReference, read_reference
from components.core.data.content_hash import content_hash
from components.core.errors import DataError, StoreError
from components.core.io.atomic_files import digest
from components.core.options.fields import describe_options
from components.core.options.parse import result_values, to_values
from components.core.options.profiles import read_profile
from components.core.options.shared import SharedOptions
from components.core.protocol.lineage import KEY_FILE_VARIABLE, KEY_VARIABLE, key_id, study_key
from components.core.runtime import logs
from components.core.runtime.progress import log
from components.core.store import is_bucket
from components.groups import GROUPS, MPP, SHARED, STAGE_GROUP, resolve_group, resolve_groups, shared_fields
from components.kfp_component import code_tag

STORE_VARIABLE, OBJECTS_VARIABLE = "THYGAN_STORE", "THYGAN_OBJECTS"
CONTENT, CACHED_URI = "content", "kept"  # metadata of an artifact
_SCALARS = (str, int, float, bool)
_SHOWN = (dsl.Metrics, dsl.ClassificationMetrics, dsl.HTML, dsl.Markdown)
_SOURCES = ("sources", "labels")  # arguments that name files which may change while their name stays


def run_stage(component: Any, arguments: Mapping[str, Any], module: str = "stage") -> Any:
    """Runs a stage, or fetches the result that it had for the same content, options and code.

    Args:
        component: The component's function.
        arguments: Its arguments.
        module: The stage's module that has `run`; it is imported only where there is something to do.

    Returns:
        What `run` returned, as JSON has it.

    Raises:
        ConfigError: An option of the stage is unknown or out of its range; in the first task of a run, of any stage.
    """
    function = getattr(component, "python_func", component)
    stage = function.__name__
    kinds = {name: kind for name, kind in function.__annotations__.items() if is_Input_Output_artifact_annotation(kind)}
    outputs = {name: arguments[name] for name, kind in kinds.items() if is_artifact_wrapped_in_Output(kind)}
    inputs = {name: arguments[name] or "" for name in kinds if name not in outputs}
    call = stage_call(stage, {name: value for name, value in arguments.items() if name not in kinds})
    metrics = [name for name, one in outputs.items() if isinstance(one, dsl.Metrics)]
    cache = _result_cache()
    task = _Task(cache, stage, outputs, inputs, call) if cache else None
    cached = task.find() if task else None
    if cached:
        returned = cached.returned
    else:
        run = importlib.import_module(f"{__package__}.{stage}.{module}").run
        paths = {name: _path(value) for name, value in (inputs | outputs).items() if name not in metrics}
        returned = run(**paths, **call.arguments())
    record = next(Path(one.path) for one in outputs.values() if one.schema_title == Record.schema_title)
    if not record.exists():  # a dry run
        return returned
    values = json.loads(record.read_text(encoding="utf-8"))
    for name in metrics:
        _show_numbers(outputs[name], values)
    references = {}
    for name, artifact in outputs.items():
        if not isinstance(artifact, _SHOWN) and not is_bucket(
            artifact.uri
        ):  # logs on this machine name the tasks that read it by these
            artifact.metadata.update({key: values[key] for key in ("scheme", "fold") if key in values})
        if reference := (read_reference if cached else publish_or_fetch)(Path(artifact.path)):
            references[name] = reference
            artifact.metadata[ARCHIVE] = reference.archive
    if task:
        task.store(returned, references)
    return returned


@dataclass(frozen=True)
class StageCall:
    """What a task asks of its stage, beside files.

    Attributes:
        direct: What identifies the task: fold, scheme, arms, seed, sources.
        options: The stage's options; None = it has none.
        shared: The shared options, those that the stage does not read at their defaults; None = it reads none.
        shared_names: Fields of `shared` that it reads.
    """

    direct: dict[str, Any]
    options: Any = None
    shared: SharedOptions | None = None
    shared_names: tuple[str, ...] = field(default=())

    def arguments(self) -> dict[str, Any]:
        """The arguments of `run`, without its paths."""
        dataclasses = {"options": self.options, SHARED: self.shared}
        return self.direct | {name: one for name, one in dataclasses.items() if one is not None}

    def values(self) -> dict[str, Any]:
        """The same as JSON values, for people."""
        groups = {"options": self.options, SHARED: self.shared}
        return self.direct | {name: to_values(one) for name, one in groups.items() if one is not None}

    def result_values(self) -> dict[str, Any]:
        """The part of `values` that may change a result."""
        values = dict(self.direct)
        if self.options is not None:
            values["options"] = result_values(self.options)
        if self.shared is not None:
            values[SHARED] = result_values(self.shared, self.shared_names)
        return values

    def reads_outside(self) -> bool:
        """Whether it reads files whose content may change under the same name, and nothing states their version."""
        named = any(self.direct.get(name) for name in _SOURCES)
        if self.options is not None:
            infos = describe_options(type(self.options))
            named = named or any(info.reads_outside and getattr(self.options, info.name) for info in infos)
        return named and not getattr(self.options, "data_version", "")


def stage_call(stage: str, values: Mapping[str, Any]) -> StageCall:
    """What a task asks of its stage: profile, group and shared options resolved.

    The first task of a run gets the other stages' groups, too: all are held to types and ranges before it reads a file.

    Args:
        stage: The stage.
        values: The component's arguments that are not files.

    Raises:
        ConfigError: An option is unknown or out of its range.
    """
    group = STAGE_GROUP.get(stage, "")
    names = ("profile", "options", *GROUPS)
    direct = {name: value for name, value in values.items() if name not in names}
    if not group:
        return StageCall(direct)
    profile, stated, shared = values["profile"], values["options"], values[SHARED]
    if others := {name: values[name] for name in GROUPS if name in values and name not in (group, SHARED)}:
        resolve_groups(profile, {**others, group: stated, SHARED: shared})
    if MPP in direct:
        mpp = direct[MPP] or read_profile(profile).get(MPP) or {}
        direct[MPP] = {site: one if isinstance(one, str) else f"{one:.12g}" for site, one in mpp.items()}
    options, everything = resolve_group(group, profile, stated, shared)
    fields = shared_fields(stage)
    limited = SharedOptions(**{name: getattr(everything, name) for name in fields}) if fields else None
    return StageCall(direct, options, limited, fields)


class _Task:
    """One task with its artifacts and options, as a result to be found or stored."""

    def __init__(
        self,
        cache: ResultCache,
        stage: str,
        outputs: dict[str, dsl.Artifact],
        inputs: dict[str, Any],
        call: StageCall,
    ) -> None:
        self._cache, self._stage, self._outputs, self._call = cache, stage, outputs, call
        self._paths = {name: Path(artifact.path) for name, artifact in outputs.items()}
        self._tag = code_tag()
        self._inputs = {
            name: [_describe_input(one) for one in (value if isinstance(value, list) else [value])]
            for name, value in inputs.items()
            if value
        }

    def find(self) -> CachedResult | None:
        """The cached result, fetched to this task's paths."""
        if self._call.reads_outside():
            return None
        try:
            if (result := self._cache.find(self._stage, self._key())) is None:
                return None
            self._cache.fetch(result, self._paths)
            for path in self._paths.values():
                publish_or_fetch(path)
        except (DataError, StoreError) as error:
            log(f"{error} It is computed again.")
            return None
        log(f"{self._stage}: taken from {result.run}, which made it from the same content, options and code")
        return result

    def store(self, returned: Any, references: Mapping[str, ArchiveReference]) -> None:
        """Stores the outputs, and writes to each artifact's metadata what it holds.

        Args:
            returned: What `run` returned.
            references: The outputs that are references in the place of archives.
        """
        first = next(iter(self._outputs.values()))
        on_cluster = is_bucket(first.uri)
        home = first.uri.rpartition("/")[0] if on_cluster else f"{self._cache.uri}/{self._local_task()}"
        task = home.removeprefix(f"{self._cache.uri}/") if not on_cluster else "/".join(home.split("/")[-4:])
        artifacts: dict[str, CachedArtifact] = {}
        for name, artifact in self._outputs.items():
            if self._paths[name].exists():
                uri = f"{home}/{artifact.uri.rpartition('/')[2]}"
                metadata = dict(artifact.metadata)
                if name in references:
                    metadata[ARCHIVE_BYTES] = references[name].bytes
                artifacts[name] = describe_artifact(self._paths[name], artifact.schema_title, uri, metadata)
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        run = "/".join(task.split("/")[:2])
        values = self._call.values()
        result = CachedResult(
            self._stage, run, task, self._key(), self._tag, made, values, self._inputs, artifacts, returned
        )
        result = self._cache.keep(result, self._paths, upload=not on_cluster)
        for name, stored in result.artifacts.items():
            artifact = self._outputs[name]
            if isinstance(artifact, _SHOWN):
                continue
            artifact.metadata[CONTENT] = stored.content
            if stored.uri != artifact.uri:  # on a cluster it is where KFP put it
                artifact.metadata[CACHED_URI] = stored.uri

    def _key(self) -> str:
        contents = {name: [one["content"] for one in several] for name, several in self._inputs.items()}
        identities = ""
        if "sources" in self._call.direct and (os.environ.get(KEY_VARIABLE) or os.environ.get(KEY_FILE_VARIABLE)):
            identities = key_id(study_key())
        return digest([self._stage, self._tag, contents, self._call.result_values(), identities])

    def _local_task(self) -> str:
        context = logs.current_context()
        stage = self._stage.replace("_", "-")
        return f"{context['pipeline']}/{context.get('run', 'local')}/{stage}/{uuid.uuid4().hex[:12]}"


def _result_cache() -> ResultCache | None:
    uri, objects = os.environ.get(STORE_VARIABLE), os.environ.get(OBJECTS_VARIABLE)
    return ResultCache(uri, Path(objects) if objects else None) if uri else None


def _describe_input(artifact: dsl.Artifact) -> dict[str, str]:
    known = artifact.metadata
    return {
        "content": str(known.get(CONTENT) or content_hash(artifact.path)),
        "uri": str(known.get(CACHED_URI) or artifact.uri),
    }


def _path(value: Any) -> Any:
    """Paths of artifacts; '' for one that is left out."""
    if isinstance(value, list):
        return [one.path for one in value]
    return value.path if value else ""


def _show_numbers(metrics: dsl.Metrics, record: Mapping[str, Any]) -> None:
    """Shows a record's finite numbers on KFP's page, and writes its scalars to the file of the metrics.

    Without a file, kfp's cache on this machine never has the task.
    """
    scalars = {key: value for key, value in record.items() if isinstance(value, _SCALARS)}
    for key, value in scalars.items():
        if isinstance(value, int | float) and math.isfinite(value):
            metrics.log_metric(key, float(value))
    Path(metrics.path).write_text(json.dumps(scalars, indent=1) + "\n", encoding="utf-8")


def draw_roc(roc: dsl.ClassificationMetrics) -> None:
    """Shows the ROC curve and the confusion matrix that a stage wrote to `roc`'s file."""
    curve = json.loads(Path(roc.path).read_text(encoding="utf-8"))
    if curve.get("fpr"):
        roc.log_roc_curve(curve["fpr"], curve["tpr"], curve["threshold"])
    if curve.get("confusion"):
        roc.log_confusion_matrix(curve["classes"], curve["confusion"])
