"""Commands for the jobs of manifests/base/store: python -m components.cluster_admin --help."""

import json
import os
import re
from pathlib import Path

from components.cluster_admin.identities import ROOT_PASSWORD, ROOT_USER, build_secrets, draw_identities
from components.core.errors import ConfigError
from components.core.runtime.cli import execute, new_app
from components.core.runtime.progress import log

_POLICIES = Path("manifests/base/store/policies")
_UNITS = {"": 1, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "G": 10**9, "T": 10**12}

app = new_app("python -m components.cluster_admin", "Administration of a cluster's object store.")


@app.command
def secrets(policies: Path = _POLICIES, *, namespace: str = "thygan") -> None:
    """Prints Kubernetes Secrets with new keys for all identities; pipe them into `kubectl create -f -`, once.

    Args:
        policies: Folder with one policy per file.
        namespace: Namespace of the Secrets.
    """
    print(json.dumps(build_secrets(draw_identities(policies), namespace), indent=1))


@app.command
def buckets(plan: Path) -> None:
    """Creates the buckets and sets their rules; a repeated call changes what differs.

    Args:
        plan: JSON file like manifests/base/store/buckets.json.
    """
    from components.cluster_admin.buckets import prepare_buckets, read_buckets

    prepare_buckets(read_buckets(plan))


@app.command
def minio(identities: Path, *, endpoint: str) -> None:
    """Registers the identities in a MinIO server, with the root of MINIO_ROOT_USER and MINIO_ROOT_PASSWORD.

    Args:
        identities: File of the Secret thygan-s3-identities.
        endpoint: Address of the server, http://host:port.
    """
    from components.cluster_admin.identities import register_in_minio
    from components.core.io.atomic_files import read_json

    if not (user := os.environ.get(ROOT_USER)) or not (password := os.environ.get(ROOT_PASSWORD)):
        raise ConfigError(f"Set {ROOT_USER} and {ROOT_PASSWORD} to the server's root credentials.")
    contents = read_json(identities)
    register_in_minio(contents, endpoint, user, password)
    log(f"{len(contents['identities'])} identities registered in {endpoint}")


@app.command
def weights(bucket: str = "s3://thygan-weights") -> None:
    """Downloads the weights of all registered networks, verifies and mirrors them, so that no stage needs the internet.

    Args:
        bucket: Address of the mirror.
    """
    from components.core.features.registry import REGISTRY
    from components.core.features.weights import find_weights
    from components.core.store import open_store

    store = open_store(bucket)
    for name, entry in REGISTRY.items():
        if store.exists(entry.file):
            log(f"{entry.file}: present")
            continue
        store.put(find_weights(name), entry.file)
        log(f"{entry.file}: mirrored")


@app.command
def usage(*capacities: str) -> None:
    """Pushes the fill levels of the buckets to the Pushgateway in THYGAN_PUSHGATEWAY.

    Args:
        capacities: BUCKET=SIZE, for example thygan-data=2Ti.
    """
    from components.cluster_admin.usage import push_usage

    push_usage(dict(_parse_capacity(pair) for pair in capacities))


def _parse_capacity(pair: str) -> tuple[str, int]:
    match = re.fullmatch(r"([a-z0-9.-]+)=(\d+)(\w*)", pair)
    if not match or match[3] not in _UNITS or not int(match[2]):
        raise ConfigError(f"{pair}: write it as BUCKET=SIZE, for example thygan-data=2Ti.")
    return match[1], int(match[2]) * _UNITS[match[3]]


if __name__ == "__main__":
    execute(app)
