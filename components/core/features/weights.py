"""Finding trained weights: one table, one order of sources, and nothing used whose hash differs from the table.

Order: folder (`weights_dir`, else THYGAN_WEIGHTS) · installed package · user cache · bucket (`weights_dir`, else
THYGAN_WEIGHTS_BUCKET) · mirror (THYGAN_WEIGHTS_MIRROR, a base URL) · the official URL. Every file is hashed before it
is used; a download is complete and verified in the cache (XDG_CACHE_HOME), or absent from it.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pooch
from requests import RequestException

from components.core.errors import DataError, StoreError, WeightsError
from components.core.features.registry import REGISTRY, Weights
from components.core.io.atomic_files import atomic_write, file_sha256, read_json
from components.core.runtime.progress import log
from components.core.store import is_bucket, local_folder, open_store

FOLDER_VARIABLE, BUCKET_VARIABLE = "THYGAN_WEIGHTS", "THYGAN_WEIGHTS_BUCKET"
MIRROR_VARIABLE = "THYGAN_WEIGHTS_MIRROR"
_TIMEOUT_SECONDS = (10, 60)  # to connect, between bytes
_BUCKET_RETRIES = 2


def find_weights(name: str, weights_dir: str = "") -> Path:
    """The verified file of a registered network's weights.

    Args:
        name: A key of `REGISTRY`.
        weights_dir: Folder or bucket to search first; '' = those that the environment names, if any.

    Raises:
        WeightsError: The name is unknown, or the file is missing or has another hash.
    """
    return locate(registry_entry(name), weights_dir)


def registry_entry(name: str) -> Weights:
    """The entry of that name; raises WeightsError for an unknown name."""
    if name not in REGISTRY:
        raise WeightsError(f"No trained weights are registered for {name!r}: use one of {', '.join(REGISTRY)}.")
    return REGISTRY[name]


def locate(weights: Weights, weights_dir: str = "") -> Path:
    """The same as `find_weights` for an entry."""
    if found := find_local(weights, weights_dir):
        return found
    cached = _cache_path(weights)
    failures = [f"{path} does not exist" for path in _local_paths(weights, weights_dir)]
    for source, fetch in _sources(weights, weights_dir):
        try:
            return _fetch_verified(weights, source, fetch, cached)
        except (RequestException, StoreError) as error:
            reason = f"{source} cannot be fetched ({type(error).__name__})"
            failures.append(str(error).rstrip(".") if isinstance(error, StoreError) else reason)
    get = f"get {weights.file} from {weights.url}" if weights.url else f"install {weights.source.split(',')[0]}"
    raise WeightsError(
        f"The weights of {weights.name} ({weights.size_bytes / 1e6:.0f} MB) could not be found: "
        f"{'; '.join(failures) or 'no folder, package or mirror has them'}. Without a network, {get} "
        f"elsewhere, put the file into a folder or bucket and name that by --weights-dir or {FOLDER_VARIABLE}."
    )


def find_local(weights: Weights, weights_dir: str = "") -> Path | None:
    """The verified file if this machine has it; None if it must be downloaded."""
    for path in _local_paths(weights, weights_dir):
        if path.exists():
            return verify(weights, path)
    cached = _cache_path(weights)
    return cached if cached.exists() and file_sha256(cached).startswith(weights.sha256) else None


def read_description(name: str, weights_dir: str = "") -> Any:
    """The JSON value of NAME.json in the weights folder or bucket; None where there is none.

    Raises:
        DataError: The description is not JSON.
        StoreError: The bucket cannot be reached.
    """
    file = f"{name}.json"
    folder, bucket = _folder(weights_dir), _bucket(weights_dir)
    if folder and (folder / file).is_file():
        return read_json(folder / file)
    if not bucket:
        return None
    stored = open_store(bucket, retries=_BUCKET_RETRIES).read(file)
    try:
        return json.loads(stored.data) if stored else None
    except ValueError as error:
        raise DataError(f"{bucket}/{file} is not valid JSON ({error}): correct it.") from None


def verify(weights: Weights, path: Path) -> Path:
    """The path, if the file has the registered SHA-256.

    Raises:
        WeightsError: The file has another hash.
    """
    sha256 = file_sha256(path)
    if not sha256.startswith(weights.sha256):
        raise WeightsError(
            f"{path} is not {weights.file}: its sha256 begins with {sha256[:16]} and must begin with "
            f"{weights.sha256[:16]}. Remove it and download it again from {weights.url or weights.source}."
        )
    return path


def _local_paths(weights: Weights, weights_dir: str) -> list[Path]:
    """Paths that may have the file on this machine."""
    folder = _folder(weights_dir)
    paths = [folder / weights.file] if folder else []
    package, _, inside = weights.package.partition("/")
    spec = find_spec(package) if package else None
    if spec and spec.submodule_search_locations:
        paths.append(Path(spec.submodule_search_locations[0]) / inside / weights.file)
    return paths


def _folder(weights_dir: str) -> Path | None:
    named = (not is_bucket(weights_dir) and weights_dir) or os.environ.get(FOLDER_VARIABLE, "")
    return local_folder(named) if named else None


def _bucket(weights_dir: str) -> str:
    return weights_dir if is_bucket(weights_dir) else os.environ.get(BUCKET_VARIABLE, "")


def _cache_path(weights: Weights) -> Path:
    return Path(pooch.os_cache("thygan")) / "weights" / weights.file


def _sources(weights: Weights, weights_dir: str) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Addresses that may have the file, in order, and for each the function that downloads it to a path."""
    if bucket := _bucket(weights_dir):
        store = open_store(bucket, retries=_BUCKET_RETRIES)
        yield f"{store.uri}/{weights.file}", partial(store.get, weights.file)
    mirror = os.environ.get(MIRROR_VARIABLE, "").rstrip("/")
    for url in (mirror and f"{mirror}/{weights.file}", weights.url):
        if url:
            yield url, partial(_download, url)


def _download(url: str, path: Path) -> None:
    pooch.HTTPDownloader(timeout=_TIMEOUT_SECONDS)(url, str(path), None)


def _fetch_verified(weights: Weights, source: str, fetch: Callable[[Path], None], cached: Path) -> Path:
    log(f"Downloading {source} ({weights.size_bytes / 1e6:.0f} MB)")
    try:
        with atomic_write(cached) as beside:
            with suppress(DataError):  # the bucket's checksum differs, and so will the hash below
                fetch(beside)
            sha256 = file_sha256(beside) if beside.exists() else "torn"
            if not sha256.startswith(weights.sha256):
                raise WeightsError(
                    f"{source} served another file than {weights.file} or a part of it: its sha256 begins with "
                    f"{sha256[:16]} and must begin with {weights.sha256[:16]}. The file was discarded: correct the "
                    "server."
                )
    except RequestException:
        raise
    except OSError as error:
        raise WeightsError(
            f"The weights of {weights.name} cannot be stored in {cached.parent} ({error.strerror}): set XDG_CACHE_HOME "
            f"to a folder that can be written to, or put {weights.file} into a folder named by {FOLDER_VARIABLE}."
        ) from None
    return cached
