"""Arguments of a study on this machine: demo data where none are stated, absolute paths, a version of the data."""

import copy
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import digest
from components.core.runtime.progress import log
from components.core.store import is_bucket, local_folder, open_store
from pipelines.cli.study_values import StudyValues

_PATHS = (
    ("split", "import_splits"),
    ("gan", "resume_from"),
    ("shared", "weights_dir"),
    ("shared", "checkpoint_uri"),
    ("selection", "cache_uri"),
)  # options that name folders and files
_MADE = ("checkpoint_uri", "cache_uri")  # folders that a stage makes


def local_arguments(values: StudyValues, out: Path) -> dict[str, Any]:
    """The pipeline's arguments; tasks run in other folders, so every path in them is absolute.

    Args:
        values: The study's parameters.
        out: Folder of the run.

    Raises:
        ConfigError: No images are named.
        DataError: A folder or a file does not exist.
    """
    arguments = copy.deepcopy(values.arguments)
    if values.groups["split"].demonstration and not arguments.get("source"):
        arguments |= _make_demo_data(out, arguments.get("seed", 0))
    if not arguments.get("source"):
        raise ConfigError("The study has no images: name the folder with its own images, --source DIR.")
    arguments["source"] = _absolute_path(arguments["source"], "--source")
    arguments["external"] = [_absolute_path(folder, "--external") for folder in arguments.get("external", [])]
    arguments["labels"] = _label_file(arguments.get("labels", ""))
    arguments["external_labels"] = [_label_file(file) for file in arguments.get("external_labels", [])]
    for group, name in _PATHS:
        path = arguments.get(group, {}).get(name)
        if path and name in _MADE:
            arguments[group][name] = path if is_bucket(path) else str(local_folder(path).resolve())
        elif path:
            arguments[group][name] = _absolute_path(path, f"--{group}.{name.replace('_', '-')}")
    if files := arguments.get("generation", {}).get("gan_params"):
        arguments["generation"]["gan_params"] = {arm: _read_text(file) for arm, file in files.items()}
    if not values.groups["tile"].data_version:
        arguments.setdefault("tile", {})["data_version"] = _data_version(arguments)
    return arguments


def _absolute_path(source: str, option: str) -> str:
    """A folder or file as an absolute path; the address of a bucket as it is."""
    if is_bucket(source):
        return source
    path = Path(source).resolve()
    if not path.exists():
        raise DataError(f"{option} {source} does not exist: correct the path.")
    return str(path)


def _label_file(path: str) -> str:
    if path and not Path(path).is_file():
        raise DataError(f"The label file {path} does not exist: correct the path.")
    return str(Path(path).resolve()) if path else ""


def _read_text(file: str) -> str:
    """A file's text, which reaches every task and enters the cache key; a JSON text as it is."""
    if file.lstrip().startswith("{"):
        return file
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise DataError(f"The file of generation parameters {file} cannot be read: name a JSON file.") from None


def _make_demo_data(out: Path, seed: int) -> dict[str, Any]:
    from pipelines.demo import write_study

    folder = out / "demo-data"
    if not folder.exists():
        log("making the demo data: procedural H&E-like fields of two hospitals")
        write_study(folder, seed=seed, images_per_patient=2, size_px=192)
    return {"source": str(folder / "hospital-a"), "external": [str(folder / "hospital-b")]}


def _data_version(arguments: dict[str, Any]) -> str:
    """A digest of the names, sizes and times of all input files: with new data nothing stale comes from the cache."""
    seen: list[list[Any]] = []
    for address in filter(None, _data_addresses(arguments)):
        if is_bucket(address):
            seen += [[address, asdict(entry)] for entry in open_store(address).list()]
            continue
        path = Path(address)
        for file in [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file()):
            stat = file.stat()
            seen.append([str(file), stat.st_size, stat.st_mtime_ns])
    return digest(seen)[:16]


def _data_addresses(arguments: dict[str, Any]) -> Iterator[str]:
    yield arguments["source"]
    yield from arguments["external"]
    yield arguments["labels"]
    yield from arguments["external_labels"]
    yield arguments.get("split", {}).get("import_splits", "")
