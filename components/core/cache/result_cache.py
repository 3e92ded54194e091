"""Results that outlive their run: kept in a store, found again by what they were made from.

    <store>/<pipeline>/<run>/<task>/<id>/<artifact>    as a cluster run lays artifacts out; a folder's files below it
    <store>/<pipeline>/<run>/<task>/<id>/task.json     type, metadata, digests and lineage of what lies beside it
    <store>/results/<stage>/<key>.json                 the same record under the digest of inputs, options and code

On a machine of one's own a folder of objects by sha256 stands before the store, so that nothing is fetched twice and no
result is lost when the store is away for a moment.
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
from components.core.store.base import validate_name, verify

TASK, RESULTS = "task.json", "results"
ARCHIVE, ARCHIVE_BYTES = "archive_uri", "archive_bytes"  # metadata of an artifact that is a reference


@dataclass(frozen=True)
class CachedFile:
    """A file of an artifact; `name` is '' where the artifact is one file."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class CachedArtifact:
    """An artifact as it lies in the store.

    Attributes:
        type: Its title, for example "system.GanDataset".
        uri: Where it lies.
        content: Digest of what it holds, without records of how it was made.
        files: What it consists of.
        metadata: As the UI shows it.
    """

    type: str
    uri: str
    content: str
    files: list[CachedFile]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Of its files, and of the archive that it stands for."""
        return sum(one.size_bytes for one in self.files) + int(self.metadata.get(ARCHIVE_BYTES, 0))


@dataclass(frozen=True)
class CachedResult:
    """What a task made.

    Attributes:
        stage: Its stage.
        run: pipeline/run.
        task: pipeline/run/task/id.
        key: Digest of inputs, options and code.
        tag: Of the code.
        made: When, ISO 8601, UTC.
        options: The stage's parameters.
        read: Input -> content digests and addresses of what was read: the lineage.
        artifacts: Output -> artifact.
        returned: What the stage returned besides.
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
        """Of all artifacts together."""
        return sum(artifact.size_bytes for artifact in self.artifacts.values())

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: bytes, where: str) -> "CachedResult":
        """From `to_json`'s text; raises DataError naming `where` for any other."""
        try:
            value = json.loads(text)
            artifacts = {
                name: CachedArtifact(**{**one, "files": [CachedFile(**file) for file in one["files"]]})
                for name, one in value["artifacts"].items()
            }
            return CachedResult(**{**value, "artifacts": artifacts})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{where} is no record of a result: remove it, and the result is made again.") from None


def describe_artifact(path: Path, type_name: str, uri: str, metadata: Mapping[str, Any]) -> CachedArtifact:
    """An artifact with the digests of its files."""
    files = [CachedFile(name, (path / name).stat().st_size, file_sha256(path / name)) for name in list_files(path)]
    return CachedArtifact(type_name, uri, content_hash(path), files, dict(metadata))


def fetch(artifact: CachedArtifact, path: Path, objects: Path | None = None) -> None:
    """Brings an artifact from where it lies to a path, every file compared with its sha256; complete or not at all.

    Args:
        artifact: Of a result.
        path: Of the file or folder to make.
        objects: Folder of objects by sha256 to look into first, and to fill.

    Raises:
        DataError: What lies there is not what was kept.
        StoreError: It is gone, or the store is away.
    """
    store, base = _place(artifact.uri)
    with atomic_write(path) as beside:
        for file in artifact.files:
            name = validate_name(f"{base}/{file.name}" if file.name else base)
            target = beside / file.name if file.name else beside
            target.parent.mkdir(parents=True, exist_ok=True)
            kept = _object(objects, file.sha256)
            if kept and kept.is_file() and file_sha256(kept) == file.sha256:
                _link(kept, target)
                continue
            store.get(name, target)
            verify(target, file.sha256, f"{store.uri}/{name}")
            if kept:
                _link(target, kept)
        if not artifact.files:
            beside.mkdir()


class ResultCache:
    """A store of results, with a folder of objects before it where there is one."""

    def __init__(self, uri: str, objects: Path | None = None) -> None:
        """Names the store; nothing is asked of it yet.

        Args:
            uri: s3://bucket/prefix, minio://bucket/prefix or a folder.
            objects: Folder for objects by sha256, on the disk that artifacts lie on; None = everything is fetched.
        """
        self._store, self._objects = open_store(uri), objects
        self.uri = self._store.uri

    def find(self, stage: str, key: str) -> CachedResult | None:
        """The finished result of this key, if there is one and all of it is still there."""
        name = _record_name(stage, key)
        if self._objects and (self._objects / name).exists():
            result = CachedResult.from_json((self._objects / name).read_bytes(), f"{self._objects / name}")
            files = [file for one in result.artifacts.values() for file in one.files]
            if all((self._objects / file.sha256[:2] / file.sha256).is_file() for file in files):
                return result
        return self._stored(name)

    def fetch(self, result: CachedResult, paths: Mapping[str, Path]) -> None:
        """Brings all artifacts of a result to their paths; raises as `fetch` does."""
        for name, artifact in result.artifacts.items():
            fetch(artifact, paths[name], self._objects)

    def keep(self, result: CachedResult, paths: Mapping[str, Path], *, upload: bool) -> CachedResult:
        """Keeps a result: the records last, so that what they name is there.

        Args:
            result: With the addresses that its artifacts have, or are to have.
            paths: Artifact -> where it lies here.
            upload: Whether artifacts are brought to the store from here; on a cluster KFP does.

        Returns:
            The result with the addresses at which its artifacts lie: where the store had them, those.
        """
        name = _record_name(result.stage, result.key)
        if self._objects:
            for one, artifact in result.artifacts.items():
                for file in artifact.files:
                    _link(paths[one] / file.name, self._objects / file.sha256[:2] / file.sha256)
            write_text(self._objects / name, result.to_json())
        if upload and (before := self._stored(name)):
            result = replace(result, artifacts=before.artifacts)
        elif upload:
            for one, artifact in result.artifacts.items():
                store, base = _place(artifact.uri)
                for file in artifact.files:
                    store.put(paths[one] / file.name, f"{base}/{file.name}" if file.name else base)
        for record in (f"{result.task}/{TASK}", name):
            self._store.write(record, result.to_json().encode())
        return result

    def results(self, prefix: str = "") -> Iterator[CachedResult]:
        """Every task's result below a prefix, by name."""
        for entry in self._store.list(prefix):
            if entry.name.endswith(f"/{TASK}") and (note := self._store.read(entry.name)):
                yield CachedResult.from_json(note.data, f"{self.uri}/{entry.name}")

    def list_by_code(self, tag: str) -> Iterator[CachedResult]:
        """Every result that is found again by its content and was made by this code."""
        for entry in self._store.list(f"{RESULTS}/"):
            note = self._store.read(entry.name)
            if note and (result := CachedResult.from_json(note.data, f"{self.uri}/{entry.name}")).tag == tag:
                yield result

    def _stored(self, name: str) -> CachedResult | None:
        note = self._store.read(name)
        if note is None:
            return None
        result = CachedResult.from_json(note.data, f"{self.uri}/{name}")
        return result if all(_is_there(one) for one in result.artifacts.values()) else None


def _record_name(stage: str, key: str) -> str:
    return f"{RESULTS}/{stage}/{key}.json"


def _place(uri: str) -> tuple[Store, str]:
    """The store that an artifact lies in, and its name there."""
    folder, _, base = uri.rpartition("/")
    return open_store(folder), base


def _is_there(artifact: CachedArtifact) -> bool:
    store, base = _place(artifact.uri)
    names = [f"{base}/{file.name}" if file.name else base for file in artifact.files]
    archive = artifact.metadata.get(ARCHIVE)
    return all(map(store.exists, names)) and (not archive or _exists(archive))


def _exists(uri: str) -> bool:
    store, name = _place(uri)
    return store.exists(name)


def _object(objects: Path | None, sha256: str) -> Path | None:
    return objects / sha256[:2] / sha256 if objects else None


def _link(source: Path, target: Path) -> None:
    """The same bytes under a second name, without a second copy where the disk allows it."""
    if target.exists():
        return
    with atomic_write(target) as beside:
        try:
            os.link(source, beside)
        except OSError:
            shutil.copyfile(source, beside)
