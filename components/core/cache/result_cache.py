"""A cache of task results in a store, looked up by a digest of inputs, options and code.

    <store>/<pipeline>/<run>/<task>/<id>/<artifact>    in the layout of KFP; files of a folder below it
    <store>/<pipeline>/<run>/<task>/<id>/task.json     type, metadata, digests and inputs of the artifacts beside it
    <store>/results/<stage>/<key>.json                 the same JSON under the digest

On a local machine a folder of objects by sha256 precedes the store, so that no file is fetched twice and no result is
lost while the store cannot be reached.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from components.core.data.content_hash import content_hash, list_files
from components.core.errors import DataError
from components.core.io.atomic_files import atomic_write, file_sha256, write_text
from components.core.store import Store, open_store
from components.core.store.base import validate_name, verify_sha256

TASK, RESULTS = "task.json", "results"
ARCHIVE, ARCHIVE_BYTES = "archive_uri", "archive_bytes"  # metadata of an artifact that is a reference


@dataclass(frozen=True)
class CachedFile:
    """A file of an artifact; `name` is '' if the artifact is a single file."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class CachedArtifact:
    """An artifact in the store.

    Attributes:
        type: Schema title, for example "system.GanDataset".
        uri: Address of the artifact.
        content: Its `content_hash`.
        files: Its files.
        metadata: Metadata that the user interface shows.
    """

    type: str
    uri: str
    content: str
    files: list[CachedFile]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Size of its files, and of the archive behind a reference."""
        return sum(one.size_bytes for one in self.files) + int(self.metadata.get(ARCHIVE_BYTES, 0))


@dataclass(frozen=True)
class CachedResult:
    """The result of a task.

    Attributes:
        stage: Name of the stage.
        run: pipeline/run.
        task: pipeline/run/task/id.
        key: Digest of inputs, options and code.
        tag: Tag of the code.
        made: Time of creation, ISO 8601, UTC.
        options: Parameters of the stage.
        read: Input -> content hashes and addresses of the artifacts that were read.
        artifacts: Name of an output -> artifact.
        returned: Return value of the stage.
    """

    stage: str
    run: str
    task: str
    key: str
    tag: str
    made: str
    options: dict[str, Any]
    read: dict[str, list[dict[str, str]]]
    artifacts: dict[str, CachedArtifact]
    returned: Any = None

    @property
    def size_bytes(self) -> int:
        """Size of all artifacts together."""
        return sum(artifact.size_bytes for artifact in self.artifacts.values())

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: bytes, where: str) -> "CachedResult":
        """Parses the text of `to_json`; raises DataError about `where` for any other text."""
        try:
            value = json.loads(text)
            artifacts = {
                name: CachedArtifact(**{**one, "files": [CachedFile(**file) for file in one["files"]]})
                for name, one in value["artifacts"].items()
            }
            return CachedResult(**{**value, "artifacts": artifacts})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(
                f"{where} is not a record of a result: remove it, and the next run computes the result again."
            ) from None


def describe_artifact(path: Path, type_name: str, uri: str, metadata: Mapping[str, Any]) -> CachedArtifact:
    """A CachedArtifact with the digests of the files at a path.

    Args:
        path: File or folder of the artifact.
        type_name: Its schema title.
        uri: Its address.
        metadata: Its metadata.
    """
    files = [CachedFile(name, (path / name).stat().st_size, file_sha256(path / name)) for name in list_files(path)]
    return CachedArtifact(type_name, uri, content_hash(path), files, dict(metadata))


def fetch_artifact(artifact: CachedArtifact, path: Path, objects: Path | None = None) -> None:
    """Downloads an artifact to a path atomically and verifies the sha256 of every file.

    Args:
        artifact: An artifact of a result.
        path: File or folder to write.
        objects: Folder of objects by sha256 that is searched first, and filled.

    Raises:
        DataError: A file differs from its sha256.
        StoreError: A file is missing, or the store cannot be reached.
    """
    store, base = _split_uri(artifact.uri)
    with atomic_write(path) as partial:
        for file in artifact.files:
            name = validate_name(f"{base}/{file.name}" if file.name else base)
            target = partial / file.name if file.name else partial
            target.parent.mkdir(parents=True, exist_ok=True)
            local = _object_path(objects, file.sha256)
            if local and local.is_file() and file_sha256(local) == file.sha256:
                _link(local, target)
                continue
            store.get(name, target)
            verify_sha256(target, file.sha256, f"{store.uri}/{name}")
            if local:
                _link(target, local)
        if not artifact.files:
            partial.mkdir()


class ResultCache:
    """Results in a store, with an optional local folder of objects."""

    def __init__(self, uri: str, objects: Path | None = None) -> None:
        """Opens the store; no request is sent yet.

        Args:
            uri: s3://bucket/prefix, minio://bucket/prefix or a folder.
            objects: Folder for objects by sha256, on the disk of the artifacts; None = every file is fetched.
        """
        self._store, self._objects = open_store(uri), objects
        self.uri = self._store.uri

    def find(self, stage: str, key: str) -> CachedResult | None:
        """The result of a key; None = there is none, or one of its files is missing."""
        name = _record_name(stage, key)
        if self._objects and (self._objects / name).exists():
            result = CachedResult.from_json((self._objects / name).read_bytes(), f"{self._objects / name}")
            files = [file for artifact in result.artifacts.values() for file in artifact.files]
            if all((self._objects / file.sha256[:2] / file.sha256).is_file() for file in files):
                return result
        return self._find_stored(name)

    def fetch(self, result: CachedResult, paths: Mapping[str, Path]) -> None:
        """Downloads all artifacts of a result to their paths; raises as `fetch_artifact` does."""
        for name, artifact in result.artifacts.items():
            fetch_artifact(artifact, paths[name], self._objects)

    def keep(self, result: CachedResult, paths: Mapping[str, Path], *, upload: bool) -> CachedResult:
        """Stores a result; its records are written last, so that they never refer to a missing file.

        Args:
            result: Result with the addresses of its artifacts, present or future.
            paths: Name of an output -> its local path.
            upload: Whether to upload the artifacts; on a cluster KFP does it.

        Returns:
            The result with the addresses of its artifacts; those of an earlier equal result if the store has one.
        """
        name = _record_name(result.stage, result.key)
        if self._objects:
            for output, artifact in result.artifacts.items():
                for file in artifact.files:
                    _link(paths[output] / file.name, self._objects / file.sha256[:2] / file.sha256)
            write_text(self._objects / name, result.to_json())
        if upload and (earlier := self._find_stored(name)):
            result = replace(result, artifacts=earlier.artifacts)
        elif upload:
            for output, artifact in result.artifacts.items():
                store, base = _split_uri(artifact.uri)
                for file in artifact.files:
                    store.put(paths[output] / file.name, f"{base}/{file.name}" if file.name else base)
        for record in (f"{result.task}/{TASK}", name):
            self._store.write(record, result.to_json().encode())
        return result

    def results(self, prefix: str = "") -> Iterator[CachedResult]:
        """The results of all tasks below a prefix, sorted by name."""
        for entry in self._store.list(prefix):
            if entry.name.endswith(f"/{TASK}") and (stored := self._store.read(entry.name)):
                yield CachedResult.from_json(stored.data, f"{self.uri}/{entry.name}")

    def list_by_code(self, tag: str) -> Iterator[CachedResult]:
        """The cached results of one version of the code.

        Args:
            tag: Tag of the code.
        """
        for entry in self._store.list(f"{RESULTS}/"):
            note = self._store.read(entry.name)
            if note and (result := CachedResult.from_json(note.data, f"{self.uri}/{entry.name}")).tag == tag:
                yield result

    def _find_stored(self, name: str) -> CachedResult | None:
        note = self._store.read(name)
        if note is None:
            return None
        result = CachedResult.from_json(note.data, f"{self.uri}/{name}")
        return result if all(_is_complete(one) for one in result.artifacts.values()) else None


def _record_name(stage: str, key: str) -> str:
    return f"{RESULTS}/{stage}/{key}.json"


def _split_uri(uri: str) -> tuple[Store, str]:
    """The store of an artifact, and its name there."""
    folder, _, base = uri.rpartition("/")
    return open_store(folder), base


def _is_complete(artifact: CachedArtifact) -> bool:
    store, base = _split_uri(artifact.uri)
    names = [f"{base}/{file.name}" if file.name else base for file in artifact.files]
    archive = artifact.metadata.get(ARCHIVE)
    return all(map(store.exists, names)) and (not archive or _exists(archive))


def _exists(uri: str) -> bool:
    store, name = _split_uri(uri)
    return store.exists(name)


def _object_path(objects: Path | None, sha256: str) -> Path | None:
    return objects / sha256[:2] / sha256 if objects else None


def _link(source: Path, target: Path) -> None:
    """Gives a file a second name; a copy if the disk does not allow hard links."""
    if target.exists():
        return
    with atomic_write(target) as partial:
        try:
            os.link(source, partial)
        except OSError:
            shutil.copyfile(source, partial)
