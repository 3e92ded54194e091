"""`thygan doctor`: whether this machine has what a study needs."""

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

_PACKAGES = ("torch", "torchvision", "kfp", "kfp-kubernetes", "numpy", "pandas", "minio", "openslide-python")
_LEAST_FREE_GB = 10.0


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        what: Name of the check.
        is_well: Its outcome; None = it was not asked for.
        details: Outcome in a few words.
    """

    what: str
    is_well: bool | None
    details: str


def doctor(
    store: str = "",
    *,
    endpoint: str = "",
    namespace: str = "",
    weights_dir: str = "",
    out: Path = Path("runs"),
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Checks Python, packages, devices, disk, weights, store and KFP server; the exit status is 1 if a check fails.

    Args:
        store: s3://bucket/prefix or folder for results; empty = THYGAN_STORE, if it is set.
        endpoint: Address of a KFP server; empty = KF_PIPELINES_ENDPOINT, if it is set.
        namespace: Namespace on a KFP server with several users.
        weights_dir: Folder with network weights.
        out: Folder that a study would be written to.
        as_json: Print JSON.
    """
    from components.kfp_runtime import STORE_VARIABLE
    from pipelines.cluster.client import ENDPOINT_VARIABLE

    store, endpoint = store or os.environ.get(STORE_VARIABLE, ""), endpoint or os.environ.get(ENDPOINT_VARIABLE, "")
    checks: dict[str, Callable[[], tuple[bool | None, str]]] = {
        "python": _check_python,
        "packages": _check_packages,
        "device": _check_device,
        "disk": lambda: _check_disk(out),
        "weights": lambda: _check_weights(weights_dir),
        "store": lambda: _check_store(store, f"--store or {STORE_VARIABLE}"),
        "archives": lambda: _check_store(os.environ.get(ARCHIVES_VARIABLE, ""), ARCHIVES_VARIABLE),
        "kfp": lambda: _check_kfp(endpoint, namespace),
    }
    findings = []
    for what, check in checks.items():
        try:
            findings.append(Finding(what, *check()))
        except ThyganError as error:
            findings.append(Finding(what, False, str(error)))
    if as_json:
        print(json.dumps([asdict(one) for one in findings], indent=1))
    else:
        marks = {True: "ok", False: "FAILED", None: "not asked"}
        for one in findings:
            log(f"{one.what:9} {marks[one.is_well]:9} {one.details}")
    if any(one.is_well is False for one in findings):
        sys.exit(1)


def _check_python() -> tuple[bool, str]:
    version = platform.python_version()
    return (3, 11) <= sys.version_info[:2] <= (3, 13), f"{version}; thygan needs 3.11 to 3.13"


def _check_packages() -> tuple[bool, str]:
    present, absent = [], []
    for name in _PACKAGES:
        try:
            present.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
    missing = f"; missing: {', '.join(absent)}, pip install thygan[all]" if absent else ""
    return not absent, ", ".join(present) + missing


def _check_device() -> tuple[bool | None, str]:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return True, f"{', '.join(names)}; CUDA {torch.version.cuda}"
    return None, f"no GPU; {os.cpu_count()} CPU cores, {torch.get_num_threads()} threads: enough for the demonstration"


def _check_disk(out: Path) -> tuple[bool, str]:
    folder = next(one for one in (out.absolute(), *out.absolute().parents) if one.exists())
    free_gb = shutil.disk_usage(folder).free / 1e9
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return False, f"{folder} cannot be written ({error.strerror})"
    return free_gb >= _LEAST_FREE_GB, f"{free_gb:.0f} GB free at {folder}; `thygan run --dry-run` prints what is needed"


def _check_weights(folder: str) -> tuple[bool | None, str]:
    from components.core.features.extractors import load_extractor

    load_extractor("efficientnet_lite0", weights_dir=folder)
    return True, "EfficientNet-Lite0 loads"


def _check_store(uri: str, named_by: str) -> tuple[bool | None, str]:
    if not uri:
        return None, f"{named_by} names one"
    store, name = open_store(uri), f"doctor/{os.getpid()}"
    store.write(name, b"well")
    note = store.read(name)
    store.delete(name)
    return note is not None and note.data == b"well", f"{store.uri} can be written and read"


def _check_kfp(endpoint: str, namespace: str) -> tuple[bool | None, str]:
    from pipelines.cluster.client import ENDPOINT_VARIABLE, Cluster, version_name

    if not endpoint:
        return None, f"--endpoint or {ENDPOINT_VARIABLE} names one"
    cluster = Cluster(endpoint, namespace)
    state = "has" if cluster.is_uploaded() else "does not have yet"
    return True, f"{cluster.endpoint} answers, and {state} version {version_name()}"
