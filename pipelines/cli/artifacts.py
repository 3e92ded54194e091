"""`thygan artifacts`: what a store keeps of runs, here or on a cluster."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import atomic_write
from components.core.runtime.progress import log

if TYPE_CHECKING:  # loading it loads pandas, and --help needs none
    from components.core.cache.result_cache import CachedArtifact, CachedResult, ResultCache


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact with the task that made it."""

    result: "CachedResult"
    name: str
    artifact: "CachedArtifact"

    @property
    def task(self) -> str:
        """Scheme and fold, where the task has them."""
        known = {key: value for one in self.result.artifacts.values() for key, value in one.metadata.items()}
        return " ".join(str(known[key]) for key in ("scheme", "fold") if key in known)


def list_artifacts(
    store: str = "",
    *,
    run: str = "",
    stage: str = "",
    type_name: Annotated[str, Parameter(name="--type")] = "",
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Prints a line for each artifact.

    Args:
        store: s3://bucket/prefix or folder; empty = THYGAN_STORE.
        run: Id of a run, or the beginning of one; empty = all.
        stage: Name of a stage, for example gan_train; empty = all.
        type_name: Type of artifact, for example Generator; empty = all.
        as_json: Print JSON.
    """
    artifacts = list(find_artifacts(store, run, stage, type_name))
    if as_json:
        rows = [{**_row(one), "uri": one.artifact.uri, "content": one.artifact.content} for one in artifacts]
        print(json.dumps(rows, indent=1))
        return
    for one in artifacts:
        row = _row(one)
        log(
            f"{row['run']:42} {row['stage']:14} {one.task:14} {row['artifact']:13} {row['type']:22} "
            f"{one.artifact.size_bytes / 1e6:10.2f} MB  {one.artifact.content[:12]}"
        )
    log(f"{len(artifacts)} artifacts" if artifacts else "No artifact matches.")


def show_artifact(address: str, store: str = "") -> None:
    """Prints everything about an artifact as JSON: type, metadata, digests, what it was made from.

    Args:
        address: Address of the artifact, or the beginning of its content digest, as `list` prints them.
        store: s3://bucket/prefix or folder; empty = THYGAN_STORE.
    """
    stored = _find_artifact(store, address)
    result = asdict(stored.result)
    result.pop("artifacts")
    print(json.dumps({"artifact": stored.name, **asdict(stored.artifact), "made_by": result}, indent=1))


def pull_artifact(address: str, out: Path, store: str = "") -> None:
    """Downloads an artifact, every file compared with its sha256.

    An image archive is downloaded entirely, even where only a reference is stored.

    Args:
        address: Address of the artifact, or the beginning of its content digest, as `list` prints them.
        out: File or folder to make; it must not exist.
        store: s3://bucket/prefix or folder; empty = THYGAN_STORE.
    """
    from components.core.cache.result_cache import fetch_artifact
    from components.core.data.archive_reference import download, read_reference

    if out.exists():
        raise ConfigError(f"{out} exists: name a file or folder that does not.")
    stored = _find_artifact(store, address)
    with atomic_write(out) as beside:
        fetch_artifact(stored.artifact, beside)
        if reference := read_reference(beside):
            download(reference, beside)
    log(f"{stored.artifact.type} of {stored.result.stage}, {stored.artifact.size_bytes / 1e6:.2f} MB: {out}")


def find_artifacts(store: str, run: str = "", stage: str = "", type_name: str = "") -> Iterator[StoredArtifact]:
    """The artifacts of a store that match; '' = any."""
    for result in _open_results(store).results():
        if not result.run.rpartition("/")[2].startswith(run) and not result.run.startswith(run):
            continue
        if stage not in ("", result.stage):
            continue
        for name, artifact in sorted(result.artifacts.items()):
            if type_name in ("", artifact.type, artifact.type.removeprefix("system.")):
                yield StoredArtifact(result, name, artifact)


def _find_artifact(store: str, address: str) -> StoredArtifact:
    """The artifact of an address or a digest; raises DataError for none and for several."""
    artifacts = [
        one for one in find_artifacts(store) if one.artifact.uri == address or one.artifact.content.startswith(address)
    ]
    if not artifacts:
        raise DataError(f"The store has no artifact {address!r}: `thygan artifacts list` shows them all.")
    if len({one.artifact.content for one in artifacts}) > 1:
        raise DataError(f"{len(artifacts)} artifacts begin with {address!r}: give more of the digest, or the address.")
    return artifacts[0]


def _open_results(store: str) -> "ResultCache":
    from components.core.cache.result_cache import ResultCache
    from components.kfp_runtime import STORE_VARIABLE

    if not (uri := store or os.environ.get(STORE_VARIABLE, "")):
        raise ConfigError(f"No store is named: give s3://bucket/prefix or a folder, or set {STORE_VARIABLE}.")
    return ResultCache(uri)


def _row(one: StoredArtifact) -> dict[str, Any]:
    return {
        "run": one.result.run,
        "stage": one.result.stage,
        "artifact": one.name,
        "type": one.artifact.type,
        "bytes": one.artifact.size_bytes,
        "made": one.result.made,
    }
