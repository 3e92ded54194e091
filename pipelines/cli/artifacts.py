"""`thygan artifacts`: what a store keeps of runs, here or on a cluster."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from components.core.cache.result_cache import CachedArtifact, CachedResult, ResultCache, fetch_artifact
from components.core.data.archive_reference import download, read_reference
from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import atomic_write
from components.core.runtime.cli import new_app
from components.core.runtime.progress import log
from components.kfp_runtime import STORE_VARIABLE

artifacts = new_app("artifacts", "What a store keeps of runs: find it, read where it comes from, bring it here.")


@dataclass(frozen=True)
class Found:
    """An artifact with the task that made it."""

    result: CachedResult
    name: str
    artifact: CachedArtifact

    @property
    def place(self) -> str:
        """Scheme and fold, where the task has them."""
        known = {key: value for one in self.result.artifacts.values() for key, value in one.metadata.items()}
        return " ".join(str(known[key]) for key in ("scheme", "fold") if key in known)


@artifacts.command(name="list")
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
        run: Its id, or how it begins; empty = all.
        stage: For example gan_train; empty = all.
        type_name: For example Generator; empty = all.
        as_json: Print JSON.
    """
    found = list(find(store, run, stage, type_name))
    if as_json:
        rows = [{**_row(one), "uri": one.artifact.uri, "content": one.artifact.content} for one in found]
        print(json.dumps(rows, indent=1))
        return
    for one in found:
        row = _row(one)
        log(
            f"{row['run']:42} {row['stage']:14} {one.place:14} {row['artifact']:13} {row['type']:22} "
            f"{one.artifact.size_bytes / 1e6:10.2f} MB  {one.artifact.content[:12]}"
        )
    log(f"{len(found)} artifacts" if found else "Nothing there is like that.")


@artifacts.command
def show(address: str, store: str = "") -> None:
    """Prints everything about an artifact as JSON: type, metadata, digests, what it was made from.

    Args:
        address: Its address, or the beginning of its content digest, as `list` prints them.
        store: s3://bucket/prefix or folder; empty = THYGAN_STORE.
    """
    one = _one(store, address)
    whole = asdict(one.result)
    whole.pop("artifacts")
    print(json.dumps({"artifact": one.name, **asdict(one.artifact), "made_by": whole}, indent=1))


@artifacts.command
def pull(address: str, out: Path, store: str = "") -> None:
    """Brings an artifact here, every file compared with its sha256; an image archive whole, where it lies elsewhere.

    Args:
        address: Its address, or the beginning of its content digest, as `list` prints them.
        out: File or folder to make; it must not exist.
        store: s3://bucket/prefix or folder; empty = THYGAN_STORE.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already: give another place.")
    one = _one(store, address)
    with atomic_write(out) as beside:
        fetch_artifact(one.artifact, beside)
        if reference := read_reference(beside):
            download(reference, beside)
    log(f"{one.artifact.type} of {one.result.stage}, {one.artifact.size_bytes / 1e6:.2f} MB: {out}")


def find(store: str, run: str = "", stage: str = "", type_name: str = "") -> Iterator[Found]:
    """Artifacts of a store that are like that; '' = any."""
    for result in _keeper(store).results():
        if not result.run.rpartition("/")[2].startswith(run) and not result.run.startswith(run):
            continue
        if stage not in ("", result.stage):
            continue
        for name, artifact in sorted(result.artifacts.items()):
            if type_name in ("", artifact.type, artifact.type.removeprefix("system.")):
                yield Found(result, name, artifact)


def _one(store: str, address: str) -> Found:
    found = [one for one in find(store) if one.artifact.uri == address or one.artifact.content.startswith(address)]
    if not found:
        raise DataError(f"No artifact is {address!r}: `thygan artifacts list` shows what there is.")
    if len({one.artifact.content for one in found}) > 1:
        raise DataError(f"{len(found)} artifacts begin with {address!r}: give more of the digest, or the address.")
    return found[0]


def _keeper(store: str) -> ResultCache:
    if not (uri := store or os.environ.get(STORE_VARIABLE, "")):
        raise ConfigError(f"No store: name it, s3://bucket/prefix or a folder, or set {STORE_VARIABLE}.")
    return ResultCache(uri)


def _row(one: Found) -> dict[str, Any]:
    return {
        "run": one.result.run,
        "stage": one.result.stage,
        "artifact": one.name,
        "type": one.artifact.type,
        "bytes": one.artifact.size_bytes,
        "made": one.result.made,
    }
