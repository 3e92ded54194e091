"""`thygan doctor`: what this machine has of what a study needs."""

import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from components.core.data.archive_reference import ARCHIVES_VARIABLE
from components.core.errors import ThyganError
from components.core.runtime.progress import log
from components.core.store import open_store
from components.kfp_runtime import STORE_VARIABLE
from pipelines.cluster.client import ENDPOINT_VARIABLE, Cluster, version_name

_PACKAGES = ("torch", "torchvision", "kfp", "kfp-kubernetes", "numpy", "pandas", "minio", "openslide-python")
_LEAST_FREE_GB = 10.0


@dataclass(frozen=True)
class Finding:
    """What was looked at; `is_well` None = nobody asked for it."""

    what: str
    is_well: bool | None
    told: str


def doctor(
    store: str = "",
    *,
    endpoint: str = "",
    namespace: str = "",
    weights_dir: str = "",
    out: Path = Path("runs"),
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Looks at Python, packages, devices, disk, weights, store and KFP server; the exit status is 1 if one is unwell.

    Args:
        store: s3://bucket/prefix or folder that results are to be kept in; empty = THYGAN_STORE, if it is set.
        endpoint: Of a KFP server; empty = KF_PIPELINES_ENDPOINT, if it is set.
        namespace: Namespace on a KFP server with several users.
        weights_dir: Folder with network weights.
        out: Folder that a study would be written to.
        as_json: Print JSON.
    """
    store, endpoint = store or os.environ.get(STORE_VARIABLE, ""), endpoint or os.environ.get(ENDPOINT_VARIABLE, "")
    looks: dict[str, Callable[[], tuple[bool | None, str]]] = {
        "python": _python,
        "packages": _packages,
        "device": _device,
        "disk": lambda: _disk(out),
        "weights": lambda: _weights(weights_dir),
        "store": lambda: _store(store, f"--store or {STORE_VARIABLE}"),
        "archives": lambda: _store(os.environ.get(ARCHIVES_VARIABLE, ""), ARCHIVES_VARIABLE),
        "kfp": lambda: _kfp(endpoint, namespace),
    }
    findings = []
    for what, look in looks.items():
        try:
            findings.append(Finding(what, *look()))
        except ThyganError as error:
            findings.append(Finding(what, False, str(error)))
    if as_json:
        print(json.dumps([asdict(one) for one in findings], indent=1))
    else:
        marks = {True: "well", False: "UNWELL", None: "not asked"}
        for one in findings:
            log(f"{one.what:9} {marks[one.is_well]:9} {one.told}")
    if any(one.is_well is False for one in findings):
        sys.exit(1)


def _python() -> tuple[bool, str]:
    version = platform.python_version()
    return (3, 11) <= sys.version_info[:2] <= (3, 13), f"{version}; thygan needs 3.11 to 3.13"


def _packages() -> tuple[bool, str]:
    found, absent = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
    return not absent, ", ".join(found) + (f"; absent: {', '.join(absent)}, pip install thygan[all]" if absent else "")


def _device() -> tuple[bool | None, str]:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return True, f"{', '.join(names)}; CUDA {torch.version.cuda}"
    return None, f"no GPU; {os.cpu_count()} CPU cores, {torch.get_num_threads()} threads: enough for the demonstration"


def _disk(out: Path) -> tuple[bool, str]:
    there = next(one for one in (out.absolute(), *out.absolute().parents) if one.exists())
    free_gb = shutil.disk_usage(there).free / 1e9
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return False, f"{there} cannot be written ({error.strerror})"
    return free_gb >= _LEAST_FREE_GB, f"{free_gb:.0f} GB free at {there}; `thygan run --dry-run` says what is needed"


def _weights(folder: str) -> tuple[bool | None, str]:
    from components.core.features.extractors import load_extractor

    load_extractor("efficientnet_lite0", weights_dir=folder)
    return True, "EfficientNet-Lite0 loads"


def _store(uri: str, named_by: str) -> tuple[bool | None, str]:
    if not uri:
        return None, f"{named_by} names one"
    store, name = open_store(uri), f"doctor/{os.getpid()}"
    store.write(name, b"well")
    note = store.read(name)
    store.delete(name)
    return note is not None and note.data == b"well", f"{store.uri} can be written and read"


def _kfp(endpoint: str, namespace: str) -> tuple[bool | None, str]:
    if not endpoint:
        return None, f"--endpoint or {ENDPOINT_VARIABLE} names one"
    cluster = Cluster(endpoint, namespace)
    there = "has" if cluster.is_uploaded() else "does not have yet"
    return True, f"{cluster.endpoint} answers, and {there} version {version_name()}"
