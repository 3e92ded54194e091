"""`thygan weights`: the registered weights, where this machine has them, and copies for machines without a network."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from components.core.errors import ConfigError, WeightsError
from components.core.io.atomic_files import atomic_write, file_sha256
from components.core.runtime.progress import log
from components.core.store import is_bucket, open_store

if TYPE_CHECKING:  # loading them loads torch, and --help needs none
    from components.core.features.registry import Weights

Json = Annotated[bool, Parameter(name="--json")]


def list_weights(*, weights_dir: str = "", as_json: Json = False) -> None:
    """Lists the registered weights, their licences, and where this machine has them.

    Args:
        weights_dir: Folder to look in first; empty = THYGAN_WEIGHTS.
        as_json: Print them as JSON.
    """
    rows = [_row(one, weights_dir) for one in _registry_entries(())]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(f"{row['name']}: {row['size_bytes'] / 1e6:.0f} MB · {row['licence']} · {row['source']}")
        print(f"    sha256 {row['sha256']} · {row['url'] or 'no address: they come as a package'}")
        print(f"    {row['problem'] or row['path'] or 'not on this machine'}")


def fetch_weights(*names: str, weights_dir: str = "", out: str = "", as_json: Json = False) -> None:
    """Fetches weights and verifies them: into the user cache, or to a folder or bucket for machines without a network.

    Args:
        names: Names from `thygan weights list`; none = all.
        weights_dir: Folder or s3://bucket/prefix to look in first; empty = THYGAN_WEIGHTS, THYGAN_WEIGHTS_BUCKET.
        out: Folder or s3://bucket/prefix that gets a copy; a study finds it by --shared.weights-dir.
        as_json: Print what was fetched as JSON.
    """
    from components.core.features.weights import locate

    rows = []
    for weights in _registry_entries(names):
        path = locate(weights, weights_dir)
        address = _copy(path, weights.file, out) if out else str(path)
        rows.append({"name": weights.name, "path": address, "sha256": file_sha256(path)})
        if not as_json:
            log(f"{weights.name}: {address}")
    if as_json:
        print(json.dumps(rows, indent=1))


def verify_weights(*names: str, weights_dir: str = "", as_json: Json = False) -> None:
    """Hashes the weights that this machine has; the exit status is 1 if one is wrong, or a named one missing.

    Args:
        names: Names from `thygan weights list`; none = all that this machine has.
        weights_dir: Folder to look in first; empty = THYGAN_WEIGHTS.
        as_json: Print the outcome as JSON.
    """
    rows = [_row(one, weights_dir) for one in _registry_entries(names)]
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            path = f"verified {row['path']}" if row["path"] else "not on this machine"
            log(f"{row['name']}: {row['problem'] or path}")
    wrong = [row["problem"] for row in rows if row["problem"]]
    wrong += [
        f"{row['name']} is not on this machine: run `thygan weights fetch {row['name']}`."
        for row in rows
        if _is_missing(row, names)
    ]
    if wrong:
        raise WeightsError(" ".join(wrong))


def _is_missing(row: dict[str, Any], names: tuple[str, ...]) -> bool:
    return row["name"] in names and not (row["path"] or row["problem"])


def _registry_entries(names: tuple[str, ...]) -> "list[Weights]":
    from components.core.features.registry import REGISTRY
    from components.core.features.weights import registry_entry

    return [registry_entry(name) for name in names] or list(REGISTRY.values())


def _row(weights: "Weights", weights_dir: str) -> dict[str, Any]:
    """An entry of the registry, its path here, and what is wrong with the file."""
    from components.core.features.weights import find_local

    if is_bucket(weights_dir):
        raise ConfigError(f"{weights_dir} is a bucket: `thygan weights fetch --weights-dir {weights_dir}` verifies it.")
    path, problem = None, ""
    try:
        path = find_local(weights, weights_dir)
    except WeightsError as error:
        problem = str(error)
    names = ("name", "file", "size_bytes", "sha256", "licence", "source", "url")
    return {**{name: getattr(weights, name) for name in names}, "path": str(path) if path else "", "problem": problem}


def _copy(path: Path, file: str, out: str) -> str:
    if is_bucket(out):
        store = open_store(out)
        store.put(path, file)
        return f"{store.uri}/{file}"
    target = Path(out) / file
    with atomic_write(target) as beside:
        shutil.copyfile(path, beside)
    return str(target)
